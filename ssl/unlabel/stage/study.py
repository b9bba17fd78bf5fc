"""Judge a study, and show what it found."""

from pathlib import Path

from unlabel import files
from unlabel.analysis import arms, frozen_study, tables
from unlabel.analysis.judgement import judge


def run(params: Path, runs: Path, page: Path, record: Path, table: Path, text: Path) -> None:
    """Read the runs that `params` names from below `runs`; write the study's page and tables.

    `record` is its verdict as JSON, `table` every measure of every arm as CSV, `text` the page's
    tables as Markdown. Raises `UserError` for a run that is missing or damaged.
    """
    from unlabel.report import study_page  # Altair and Jinja2, which only this stage needs

    about = frozen_study.read(params)
    settings = arms.compare(about, runs)
    found = judge(about, settings)
    html = study_page.render(found)
    files.write_json(record, found.record())
    files.write_text(table, tables.comma_separated(tables.arms(settings)))
    files.write_text(text, study_page.text(found))
    files.write_text(page, html)
