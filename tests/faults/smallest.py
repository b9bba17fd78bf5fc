"""A project that builds in seconds, in several versions, and the clean builds of these."""

import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from trial import work

from support import forks
from support.project import STAND_IN, STUDY, digests, forked, project, snakemake
from support.versions import replace

SMALLEST = STUDY | {"methods": ["random", "rotation"], "metric": "knn"}
# A study that is judged several times. Whether its first claim is open depends on the version.
LOOKED = """\
title: Looked
question: Is it better?
statement: It is.
datasets: [digits]
methods: [random, rotation]
metric: knn
looks: [3, 4]
claims:
  - {says: It is better than untrained, higher: rotation, than: random}
  - {says: It is larger, metric: run.parameters, higher: rotation, than: random}
"""
PAGE = "reports/study/looked.html"
SHORT = "# @package _global_\ndefaults: [tiny]\ntraining: {epochs: 2}\n"  # another budget
SMALLER = (
    ("params/config.yaml", "[factors, information, invariance, knn, linear, lowshot,", "[knn] # "),
    ("params/config.yaml", "[knn, linear, factors]", "[knn]"),
    ("params/budget/tiny.yaml", "epochs: 2", "epochs: 1"),
    ("params/budget/tiny.yaml", "steps: [4, 4, 4]", "steps: [1, 1, 1]"),
)
# Files to edit, each with a text and what may stand in its place.
EDITS = (
    ("params/probe/knn.yaml", "k: 20", "k: 5"),
    ("params/budget/tiny.yaml", "lr: 2e-3", "lr: 3e-3"),
    ("params/method/rotation.yaml", "# As in", "# Just as in"),
    ("params/study/test.yaml", "title: Test", "title: Tested"),
    ("params/study/looked.yaml", "looks: [3, 4]", "looks: [4, 5]"),
    ("params/study/looked.yaml", "than: random", "than: 0.2"),
    ("params/dataset/digits.yaml", "validation: 0.1", "validation: 0.2"),
    ("ssl/unlabel/probe/knn.py", "\nfrom torch", "\nassert True\n\nfrom torch"),
    ("ssl/unlabel/method/rotation.py", "torch.arange(4", "torch.arange(0, 4"),
)
Version = tuple[int, ...]  # which of its two texts each of these files has
FIRST: Version = (0,) * len(EDITS)
Bits = dict[str, str]


def write(folder: Path, place: int, to: int) -> None:
    """Give a file one of its texts, whole: nobody saves half a file."""
    name, *texts = EDITS[place]
    path, text = folder / name, texts[to]
    before = path.read_text()
    has = texts[1] if texts[1] in before else texts[0]  # the second may hold the first
    assert has in before, (path, texts)
    part = path.with_suffix(".part")
    part.write_text(before.replace(has, text, 1))
    part.replace(path)


def smallest(folder: Path, version: Version = FIRST) -> Path:
    """A project that builds in seconds, with these texts."""
    project(folder, SMALLEST)
    (folder / "params/study/looked.yaml").write_text(LOOKED)
    (folder / "params/budget/short.yaml").write_text(SHORT)
    for name, old, new in SMALLER:
        replace(folder / name, old, new)
    for place, choice in enumerate(version):
        write(folder, place, choice)
    return folder


def served() -> dict[str, str]:
    """What a workflow is given, so that it and its jobs are forks of this session's server."""
    return {k: v for k, v in forked().items() if k == "UNLABEL_FORK_SERVER"} | STAND_IN


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Snakemake's status, and what it prints."""
    done = forks.run("snakemake", *words, folder=folder, environment=forked())
    return done.returncode, done.stdout + done.stderr


class Clean:
    """First builds of versions; that of the first one is kept, in a folder that may have it."""

    def __init__(self, folder: Path):
        self.folder = folder
        first = results(folder) if folder.exists() else self._built(folder, FIRST)
        self.known: dict[Version, Bits] = {FIRST: first}

    def bits(self, version: Version) -> Bits:
        """Of a version's results."""
        if version not in self.known:
            with TemporaryDirectory(dir=work()) as name:
                self.known[version] = self._built(Path(name) / "clean", version)
        return self.known[version]

    def start(self, folder: Path, seed: int) -> Path:
        """Every other history begins with what was built."""
        return shutil.copytree(self.folder, folder, symlinks=True) if seed % 2 else smallest(folder)

    @staticmethod
    def _built(folder: Path, version: Version) -> Bits:
        snakemake(smallest(folder, version), "--cores", "2", "all", PAGE)
        return results(folder)


def results(folder: Path) -> Bits:
    """What every result is, and what the study that is judged several times found."""
    judged = json.loads((folder / PAGE).with_suffix(".json").read_text())
    del judged["made"]  # with the time it took
    return digests(folder) | {PAGE: json.dumps(judged)}


def unlike(folder: Path, there: Bits) -> list[str]:
    """What is wrong after the last build.

    Results that nothing asks for any more may be there. What `all` does not ask for, of the runs
    with other seeds than 0, may be missing if the study that read it is current.
    """
    status, said = run(folder, "--cores", "2", "all", PAGE)
    if status:
        return [said[-900:]]
    here = results(folder)
    asked = [name for name in there if name in here or not re.search(r"/base/[1-9]/", name)]
    found = [name for name in asked if here.get(name) != there[name]]
    if "Nothing to be done" not in run(folder, "-n", "all", PAGE)[1]:
        found.append("something is left to do")
    return sorted(found)
