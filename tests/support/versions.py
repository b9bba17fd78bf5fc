"""A repository of git and DVC to build versions in, and what is asked of it."""

import os
import shutil
import subprocess
from pathlib import Path

from support import forks
from support.project import ROOT, environment, forked


def run(folder: Path, *words: str, fails: bool = False, **extra: str) -> str:
    """What a command prints; it must end well, or with `fails` it must not."""
    done = subprocess.run(
        words, cwd=folder, env=environment(**extra), capture_output=True, text=True
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def module(name: str, folder: Path, *words: str, fails: bool = False, **extra: str) -> str:
    """What `python -m name` prints; DVC's own commands of Snakemake stand for forks, too."""
    given = forked(**extra)
    given["PATH"] = f"{ROOT / 'tests/support/stand_in'}{os.pathsep}{given['PATH']}"
    done = forks.run(name, *words, folder=folder, environment=given)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc(folder: Path, *words: str, fails: bool = False, **extra: str) -> str:
    return module("dvc", folder, *words, fails=fails, **extra)


def git(folder: Path, *words: str) -> str:
    return run(folder, "git", *words)


def unlabel(folder: Path, *words: str, fails: bool = False) -> str:
    return module("unlabel", folder, *words, fails=fails)


def replace(path: Path, old: str, new: str) -> None:
    """Change a text in a file, which must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def repository(project: Path, folder: Path, remote: Path) -> Path:
    """A built project as a repository of git and DVC, with a first commit, pushed to a remote."""
    shutil.copytree(project, folder, symlinks=True)
    shutil.copytree(ROOT / "reports/published", folder / "reports/published")  # DVC compares them
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "test")
    git(folder, "config", "user.email", "test@localhost")
    dvc(folder, "remote", "add", "-d", "storage", str(remote))
    dvc(folder, "repro")
    commit(folder, "first")
    dvc(folder, "push")
    return folder


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


def clone(source: Path, folder: Path, link: str = "copy") -> Path:
    """A fresh clone, with what DVC has linked from its cache."""
    git(source, "clone", "-q", str(source), str(folder))
    git(folder, "config", "user.name", "test")
    git(folder, "config", "user.email", "test@localhost")
    if link != "copy":
        dvc(folder, "config", "--local", "cache.type", link)
    dvc(folder, "pull")
    return folder
