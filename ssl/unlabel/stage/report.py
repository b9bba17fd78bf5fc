"""Gather the results of a study's runs, and show them."""

from collections.abc import Mapping, Set
from pathlib import Path

from unlabel import files
from unlabel.analysis import arms, frozen_study, tables


def run(params: Path, runs: Path, prepared: Path, out: Path, without: Path | None = None) -> None:
    """Write the report of a study's runs.

    Writes results.parquet, metrics/DATASET/METHOD.json, plots/leaderboard.csv, plots/training.csv
    and index.html. Other files in metrics/ are removed, as no planned run has made them, and so are
    the pages in method/ of methods that the study does not have.

    Args:
        params: the frozen settings of the study, a YAML file
        runs: the folder of all runs, such as data/runs
        prepared: the folder of all prepared datasets, such as data/prepared
        out: the folder to write into
        without: a JSON file of runs that failed, each with the reason; the report names them

    Raises:
        UserError: if a run, or what is known of a dataset, is missing or damaged
    """
    from unlabel.report import index_page  # loads Altair and Jinja2

    about = frozen_study.read(params)
    known = {out / "method" / f"{name}.html" for name in about.methods}
    if without:
        about = about.without(files.read_json(without, "start the workflow again"))
    settings = arms.gather(about, runs)
    html = index_page.render(about, settings, prepared)
    out.mkdir(parents=True, exist_ok=True)
    with files.whole(out / "results.parquet") as part:
        tables.results(settings, about.metric).to_parquet(part, index=False)
    _write_metrics(out / "metrics", tables.metrics(settings, about.metric))
    for name, table in (("leaderboard", tables.leaderboard), ("training", tables.training)):
        text = tables.comma_separated(table(settings))
        files.write_text(out / "plots" / f"{name}.csv", text)
    files.write_text(out / "index.html", html)
    _remove_others(out / "method", "*.html", known)


def _write_metrics(folder: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Write one small file for each arm, which `dvc metrics show` makes a line of its table."""
    paths = {folder / f"{name}.json": numbers for name, numbers in metrics.items()}
    for path, numbers in paths.items():
        files.write_json(path, numbers)
    _remove_others(folder, "*.json", paths.keys())


def _remove_others(folder: Path, pattern: str, known: Set[Path]) -> None:
    """Remove what older studies left below a folder: DVC versions all that is there."""
    for path in sorted({*folder.rglob(pattern)} - known):
        path.unlink()
