"""Gather the verdicts of all studies that test a statement."""

from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.analysis import tables
from unlabel.errors import UserError


def run(records: list[Path], page: Path, record: Path, table: Path, text: Path) -> None:
    """Correct the verdicts of `records`, which the stage `study` wrote, and write them together.

    As a page, as JSON, as CSV with a row for each claim, and as Markdown. Raises `UserError` for a
    record that is missing or damaged.
    """
    from unlabel.report import statements_page  # Altair and Jinja2, which only this stage needs

    statements = statements_page.judge([_read(path) for path in records])
    html = statements_page.render(statements)
    files.write_json(record, statements_page.record(statements))
    files.write_text(table, tables.comma_separated(statements_page.table(statements)))
    files.write_text(text, statements_page.text(statements))
    files.write_text(page, html)


def _read(path: Path) -> dict[str, Any]:
    content = files.read_json(path, "make the study")
    if not content.get("verdict"):
        raise UserError(f"{path} holds no verdict; give its study a statement and claims")
    return content
