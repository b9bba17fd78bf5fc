"""Show the benchmarks as a page."""

from pathlib import Path

from unlabel import files
from unlabel.errors import UserError


def run(record: Path, page: Path) -> None:
    """Write a page with charts and tables of what `make bench` measured.

    Args:
        record: what `make bench` wrote, a JSON file
        page: the HTML file to write

    Raises:
        UserError: if the record is missing or damaged
    """
    from unlabel.report import bench_page  # loads Altair and Jinja2

    content = files.read_json(record, "run make bench")
    try:
        html = bench_page.render(content)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{record} does not hold benchmarks ({error!r}); delete it and run make bench"
        ) from error
    files.write_text(page, html)
