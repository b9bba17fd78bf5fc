"""Gather the verdicts on all statements."""

from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.analysis import tables
from unlabel.errors import UserError
from unlabel.params.settings import load


def run(
    params: Path, records: list[Path], page: Path, record: Path, table: Path, text: Path
) -> None:
    """Write the verdicts of all studies together, corrected for their number.

    Args:
        params: the studies that are left out, each with the reason, a YAML file
        records: the verdicts, JSON files that `unlabel study` wrote
        page: the HTML file to write
        record: the JSON file to write
        table: the CSV file to write, with a row for each claim
        text: the Markdown file to write

    Raises:
        UserError: if a verdict is missing or damaged
    """
    from unlabel.report import statements_page  # loads Altair and Jinja2

    statements = statements_page.judge([_read(path) for path in records])
    left_out = load(params)["left_out"]
    html = statements_page.render(statements, left_out)
    files.write_json(record, statements_page.record(statements))
    files.write_text(table, tables.comma_separated(statements_page.table(statements)))
    files.write_text(text, statements_page.text(statements, left_out))
    files.write_text(page, html)


def _read(path: Path) -> dict[str, Any]:
    content = files.read_json(path, "make the study")
    if not content.get("verdict"):
        raise UserError(f"{path} does not hold a verdict; give its study a statement and claims")
    return content
