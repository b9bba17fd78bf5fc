"""`make setup` with the real pip, but of a project that needs no other packages."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.project import ROOT

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# What an editable installation is: a file that names the folder of the code.
BACKEND = """
from pathlib import Path
from zipfile import ZipFile

def build_editable(folder, config_settings=None, metadata_directory=None):
    about = {"METADATA": "Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n", "RECORD": ""}
    about["WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    about["entry_points.txt"] = "[console_scripts]\\nmine = mine:say\\n"
    with ZipFile(Path(folder) / "mine-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mine.pth", str(Path.cwd()))
        for name, text in about.items():
            wheel.writestr(f"mine-1.dist-info/{name}", text)
    return "mine-1-py3-none-any.whl"
"""
CODE = "def say(): print(__file__)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project, set up."""
    folder = tmp_path_factory.mktemp("setup") / "a project"
    (folder / "workflow").mkdir(parents=True)
    shutil.copy(ROOT / "workflow/setup.sh", folder / "workflow")
    files = {"pyproject.toml": PROJECT, "backend.py": BACKEND, "mine.py": CODE}
    for name, text in {**files, "requirements.lock": ""}.items():
        (folder / name).write_text(text)
    assert "installing" in set_up(folder)
    return folder


def set_up(folder: Path) -> str:
    """Set a project up; what is said."""
    environment = {**os.environ, "UNLABEL_INSTALL_GIB": "0", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [folder / "workflow/setup.sh"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def code_of(folder: Path) -> Path:
    """Whose code the project's command runs."""
    said = subprocess.run([folder / ".venv/bin/mine"], capture_output=True, text=True, check=True)
    return Path(said.stdout.strip()).parent


def test_nothing_is_installed_twice_wherever_it_is_looked_at_from(folder: Path) -> None:
    assert set_up(folder) == ""
    link = folder.with_name("link")
    link.symlink_to(folder)
    assert set_up(link) == ""
    (folder / "requirements.lock").write_text("# changed")
    assert "anew" not in set_up(folder)


def test_a_copy_has_an_installation_of_its_own(folder: Path) -> None:
    copy = shutil.copytree(folder, folder.with_name("copy"), symlinks=True)
    assert f"making .venv anew, as it was made for {folder}/.venv" in set_up(copy)
    assert code_of(copy) == copy
    assert set_up(copy) == ""
