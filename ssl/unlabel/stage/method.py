"""Show what one method of a study has learned."""

from pathlib import Path

from unlabel import files
from unlabel.analysis import arms, frozen_study
from unlabel.params.settings import load


def run(params: Path, runs: Path, prepared: Path, page: Path) -> None:
    """Read the runs that `params` names from below `runs`; write the page of its method.

    The images are those in the folder `prepared` of all datasets. Raises `UserError` for a run that
    is missing or damaged.
    """
    from unlabel.report import method_page  # Altair and Jinja2, which only this stage needs

    about = frozen_study.read(params)
    settings = arms.gather(about, runs)
    html = method_page.render(about, settings, load(params)["method"], prepared)
    files.write_text(page, html)
