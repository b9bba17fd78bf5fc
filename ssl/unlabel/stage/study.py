"""Judge a study, and show what it found."""

import json
from pathlib import Path

from unlabel import files
from unlabel.analysis import frozen_study, tables
from unlabel.analysis.in_turn import judge_in_turn


def run(
    params: Path, runs: Path, page: Path, record: Path, table: Path, text: Path, made: str = "{}"
) -> None:
    """Judge a study by its runs, and write its page and tables.

    Args:
        params: the frozen settings of the study, a YAML file
        runs: the folder of all runs, such as data/runs
        page: the HTML file to write
        record: the JSON file to write the verdict to
        table: the CSV file to write each measure of each arm to
        text: the Markdown file to write the page's tables to
        made: the fingerprint of the settings and the code of each stage before, as JSON

    Raises:
        UserError: if a run is missing or damaged
    """
    from unlabel.report import study_page  # loads Altair and Jinja2

    found = judge_in_turn(frozen_study.read(params), runs).judgement
    html = study_page.render(found)
    files.write_json(record, found.record(json.loads(made)))
    files.write_text(table, tables.comma_separated(tables.arms(found.comparisons)))
    files.write_text(text, study_page.text(found))
    files.write_text(page, html)
