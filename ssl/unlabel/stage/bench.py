"""Show what the benchmarks have found."""

from pathlib import Path

from unlabel import files
from unlabel.report import written


def run(record: Path, page: Path) -> None:
    """Read what `make bench` has written as JSON, and write a page with charts and tables.

    Raises `UserError` for a record that is missing or damaged.
    """
    from unlabel.report import bench_page  # Altair and Jinja2, which only this stage needs

    files.write_text(page, bench_page.render(written.read(record, "run make bench")))
