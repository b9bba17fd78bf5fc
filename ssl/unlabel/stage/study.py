"""Judge a study, and show what it found."""

from pathlib import Path

from unlabel import files
from unlabel.analysis import arms, frozen_study, tables
from unlabel.analysis.judgement import judge


def run(params: Path, runs: Path, page: Path, record: Path, table: Path, text: Path) -> None:
    """Judge a study by its runs, and write its page and tables.

    Args:
        params: the frozen settings of the study, a YAML file
        runs: the folder of all runs, such as data/runs
        page: the HTML file to write
        record: the JSON file to write the verdict to
        table: the CSV file to write each measure of each arm to
        text: the Markdown file to write the page's tables to

    Raises:
        UserError: if a run is missing or damaged
    """
    from unlabel.report import study_page  # loads Altair and Jinja2

    about = frozen_study.read(params)
    settings = arms.compare(about, runs)
    found = judge(about, settings)
    html = study_page.render(found)
    files.write_json(record, found.record())
    files.write_text(table, tables.comma_separated(tables.arms(settings)))
    files.write_text(text, study_page.text(found))
    files.write_text(page, html)
