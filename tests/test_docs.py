"""The READMEs are short, their links lead somewhere, and their commands name what exists."""

import json
import os
import re
import shlex
import shutil
import textwrap
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import torch

from support.models import about, composed, noise
from support.project import ROOT
from unlabel import cli, encoder
from unlabel.params import compose, study
from unlabel.params.settings import build
from unlabel.run import Run

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = ROOT / "ssl/unlabel/README.md"
MINE = {"mine", "folder", "photos"}  # what a reader is to write


def _documents() -> list[Path]:
    """All Markdown files, without those in hidden folders, such as installed packages'."""
    found = []
    for here, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here) / name for name in files if name.endswith(".md")]
    return sorted(found)


DOCUMENTS = _documents()
READMES = [path for path in DOCUMENTS if path.name == "README.md"]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(path: Path) -> set[str]:
    """The headings of a file, as GitHub writes them in a link."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def _commands(program: str) -> list[tuple[str, str]]:
    """Each line of code in a README that runs `program`: the README's name, and its arguments."""
    found = []
    for path in READMES:
        for line in re.findall(r"^    (?:\$ )?(\S.*)$", path.read_text("utf-8"), re.MULTILINE):
            first, _, rest = line.partition(" ")
            if Path(first).name == program:
                found.append((_name(path), rest))
    return found


def test_each_folder_that_needs_one_has_a_readme():
    folders = ("", "params", "params/dataset", "params/study", "workflow", "ssl/unlabel", "data")
    folders += ("reports", "tests")
    assert {_name(path) for path in READMES} >= {str(Path(f) / "README.md") for f in folders}


@pytest.mark.parametrize("readme", READMES, ids=_name)
def test_a_readme_is_short_and_the_first_one_leads_to_it(readme):
    assert readme.stat().st_size <= 8 * 1024
    links = LINK.findall((ROOT / "README.md").read_text("utf-8"))
    assert readme == ROOT / "README.md" or _name(readme) in links


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_each_link_leads_to_a_file_and_a_heading_in_it(document):
    for link in LINK.findall(document.read_text("utf-8")):
        if not re.match(r"[a-z]+:", link):
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            assert target.exists(), link
            assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("readme", READMES, ids=_name)
def test_each_file_and_module_named_is_there(readme):
    for word in re.findall(r"`([\w./]+)`", readme.read_text("utf-8")):
        module, stem = Path(*word.split(".")), Path(word).stem
        if re.fullmatch(r"[a-z0-9_./]+/\w+\.(py|sh)", word) and stem not in {*MINE, "NAME"}:
            assert any((folder / word).exists() for folder in (readme.parent, ROOT)), word
        elif word.startswith("unlabel."):
            file = (ROOT / "ssl" / module).with_suffix(".py")
            package = ".".join(module.parts[:-1])
            assert file.exists() or hasattr(import_module(package), module.name), word


def test_the_codes_readme_lists_each_package():
    rows = re.findall(r"^\| (`\w+`(?: `\w+`)*) \|", CODE.read_text("utf-8"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"\w+", row)}
    there = {path.stem for path in CODE.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__main__", "__pycache__"} <= listed


def test_the_command_that_tests_is_the_one_of_ci():
    assert re.search(r"^    make test ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert "make test" in (ROOT / ".ci/run").read_text("utf-8").splitlines()


@pytest.mark.parametrize(("readme", "line"), _commands("make"))
def test_make_has_each_target(readme, line):
    target = line.split()[0]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("readme", "line"), _commands("snakemake"))
def test_snakemake_is_asked_for_what_params_has(readme, line):
    for word in shlex.split(line, comments=True):
        if group := re.fullmatch(r"(study|budget|dataset)=(\w+)", word):
            assert group[2] in {*compose.names(ROOT / "params", group[1]), *MINE}
        elif page := re.fullmatch(r"reports/study/(\w+)\.html", word):
            assert page[1] in {*compose.names(ROOT / "params", "study"), *MINE}
        elif word.startswith("data/runs/"):
            run = Run.of(word)
            compose.choose(ROOT / "params", "method", run.method)
            compose.choose(ROOT / "params", "dataset", run.dataset)
            compose.choose(ROOT / "params", "budget", run.budget)
        elif word.startswith("workflow/"):
            assert (ROOT / word / "config.yaml").exists()


@pytest.mark.parametrize(("readme", "line"), _commands("unlabel"))
def test_unlabel_has_each_command_and_flag(readme, line):
    command, *words = shlex.split(line.removesuffix("\\"), comments=True)
    assert command in cli.FILES
    run = cli.entry(command)
    flags = {word.removeprefix("--") for word in words if word.startswith("--")}
    assert flags <= set(signature(run).parameters)


def test_the_readmes_lines_load_an_encoder_and_use_it(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[1]
    path = Path(re.search(r'encoder\.load\("(.*?)"\)', code)[1])
    monkeypatch.chdir(tmp_path)
    path.parent.mkdir(parents=True)
    settings = composed("simclr")["encoder"]
    model = build(settings, "encoder", data=about(noise((1, 28, 28))))
    encoder.save(path, model, settings)
    names: dict = {}
    exec(code, names)
    assert names["features"].shape == torch.Size([8, 64])


def test_the_study_to_write_is_one(tmp_path):
    text = (ROOT / "params/study/README.md").read_text("utf-8")
    lines = re.search(r"`params/study/mine.yaml`:\n\n((?:    .*\n)+)", text)[1]
    params = shutil.copytree(ROOT / "params", tmp_path / "params")
    (params / "study/mine.yaml").write_text(textwrap.dedent(lines))
    mine = study.read(params, "mine")
    assert len(mine.claims) == 3
    assert len(mine.first.runs(params, "tiny")) == 18  # two arms and a reference, six seeds each


def test_the_verdicts_in_documents_are_those_that_are_published():
    paths = (ROOT / "reports/published/verdict").glob("*.json")
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in paths}
    row = r"^\| `(\w+)` \|[^|]*\| (?:\*\*)?([a-z ]+?)(?:\*\*)? \| (\d+), (\d+), (\d+) \|"
    rows = re.findall(row, (ROOT / "reports/verdicts.md").read_text("utf-8"), re.MULTILINE)
    assert {name: (word, *map(int, counts)) for name, word, *counts in rows} == {
        name: (
            each["verdict"],
            each["holding"],
            each["claims"] - each["holding"] - each["open"],
            each["open"],
        )
        for name, each in found.items()
    }
    words = [each["verdict"] for each in found.values()]
    said = (
        r"Of (\d+) statements, (\d+) hold, (\d+) hold in part, (\d+) do not hold and (\d+) are open"
    )
    (counts,) = re.findall(said, " ".join((ROOT / "README.md").read_text("utf-8").split()))
    grades = ("holds", "holds in part", "does not hold", "open")
    assert [*map(int, counts)] == [len(words), *map(words.count, grades)]
