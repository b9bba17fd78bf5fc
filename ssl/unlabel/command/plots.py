"""Make the pages of DVC's plots readable without a network."""

import subprocess
import sys
from pathlib import Path

from unlabel import files
from unlabel.errors import UserError

NAME = "plots.html"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh_tag}
<title>Plots of DVC</title>
<style>body { font-family: sans-serif } .vega-embed { margin: 1em 0 3em }</style>
<script>VEGA</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def run(folder: Path = Path(".dvc")) -> None:
    """Write the frame of the pages that `dvc plots show` and `dvc plots diff` make.

    DVC's own loads Vega from a network, and is blank without one. This one contains Vega. It is
    named in .dvc/config.local, which is not in git.

    Args:
        folder: DVC's folder

    Raises:
        UserError: if that is not DVC's folder, or DVC refuses
    """
    from unlabel.report import html  # loads Altair and Jinja2

    if not (folder / "config").is_file():
        raise UserError(f"{folder} is not the folder of a DVC repository")
    files.write_text(folder / NAME, PAGE.replace("VEGA", html.vega()))
    command = [sys.executable, "-m", "dvc", "config", "--local", "plots.html_template", NAME]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc config failed: {done.stderr.strip()}")
