"""Print the leaderboard, and where the report is."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa

from unlabel.analysis.tables import TIDY
from unlabel.errors import UserError
from unlabel.report import terminal


def run(results: Path, report: Path) -> None:
    """Print the leaderboard as plain text, and the path of the report.

    Args:
        results: the report's results.parquet
        report: the report's index.html

    Raises:
        UserError: if either is missing or damaged
    """
    if not report.is_file():
        raise UserError(f"{report} does not exist; make the report first")
    try:
        table = pd.read_parquet(results)
    except FileNotFoundError as error:
        raise UserError(f"{results} does not exist; make the report first") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{results} is damaged; delete it and make the report again") from error
    if list(table) != TIDY:
        raise UserError(f"{results} does not hold the results of a report; make the report again")
    print(terminal.leaderboard(table, shutil.get_terminal_size((100, 24)).columns))
    print(f"\nreport: {report.resolve()}")
