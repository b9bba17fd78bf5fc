"""Show what a method has learned, as a page."""

from pathlib import Path

from unlabel import files
from unlabel.analysis import arms, frozen_study
from unlabel.params.settings import load


def run(params: Path, runs: Path, prepared: Path, page: Path) -> None:
    """Write the page of a method: what each of its runs in a study has learned.

    Args:
        params: the frozen settings of the study and the method, a YAML file
        runs: the folder of all runs, such as data/runs
        prepared: the folder of all prepared datasets, such as data/prepared
        page: the HTML file to write

    Raises:
        UserError: if a run is missing or damaged
    """
    from unlabel.report import method_page  # loads Altair and Jinja2

    about = frozen_study.read(params)
    settings = arms.gather(about, runs)
    html = method_page.render(about, settings, load(params)["method"], prepared)
    files.write_text(page, html)
