"""Which files count in a fingerprint, and what is believed of those that were read before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import unlabel
from support.edits import LOSSES, edit, forget, names, now, of
from unlabel.errors import UserError
from unlabel.fingerprint import closure, fingerprint, found, learn, newest, reach, tell


def test_a_fingerprint_is_of_a_packages_own_templates_alone(package):
    stages = ("unlabel.stage.report", "unlabel.stage.pretrain", "unlabel.stage.prepare")
    first = [now(stage) for stage in stages]
    edit(package, ("report/template/index.html", "", "<p>"))
    second = [now(stage) for stage in stages]
    assert second[0] != first[0]
    assert second[1:] == first[1:]


def test_a_fingerprint_is_not_of_a_readme(package):
    first = now("unlabel.stage.report")
    for place in (package, package / "report"):
        (place / "README.md").write_text("Other words.")
    assert now("unlabel.stage.report") == first


STRAYS = (
    *("method/.simclr.py.swp", "method/#simclr.py#", "report/template/.index.html.swp"),
    *("report/template/index.html~", ".DS_Store", "nn/.ipynb_checkpoints/losses.txt"),
    "method/__pycache__/simclr.cpython-311.pyc.140234",  # half written
)


def test_what_editors_and_systems_leave_counts_for_nothing(package):
    forget()
    first, told = [of("simclr"), fingerprint("unlabel.stage.report")], tell()
    for name in STRAYS:
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("what somebody edits")
    forget()
    assert [of("simclr"), fingerprint("unlabel.stage.report")] == first
    found.clear()
    learn(told)
    assert found
    edit(package, ("report/template/index.html", "", "<p>"))
    forget()
    assert of("simclr") == first[0]
    assert fingerprint("unlabel.stage.report") != first[1]


def test_an_open_editor_stops_no_job(tmp_path):
    shutil.copytree(Path(unlabel.__file__).parent, tmp_path / "unlabel")

    def python(code: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)} | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    named = "from unlabel.fingerprint import fingerprint\nprint(fingerprint('unlabel.stage.bench'))"
    check = "from unlabel.params import planned_code\nplanned_code.check('bench', None)"
    planned = python(named)
    (tmp_path / "unlabel/report/.bench_page.py.swp").write_text("what somebody edits")
    assert python(named) == planned
    python(check, UNLABEL_CODE=planned)
    (tmp_path / "unlabel/stage/.#bench.py").symlink_to("user@host.123:456")  # Emacs's lock
    assert "bench" in python("from unlabel import cli\nprint(cli.overview())")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import unlabel.no_such", "unlabel.method.rotation names unlabel.no_such,"),
        ("from unlabel.no_such import x", "which does not exist"),
        ("from . import simclr", "has a relative import in line 1"),
    ],
)
def test_a_module_that_does_not_exist_has_no_fingerprint(package, statement, said):
    for name in ("unlabel.method.rotatoin", "unlabel.method.rotation.Rotatoin"):
        with pytest.raises(UserError, match=f"names {name}, which does not"):
            now(name)
    first = now("unlabel.method.rotation")
    text = (package / "method/rotation.py").read_text()
    (package / "method/rotation.py").write_text(f"{statement}\n{text}")
    with pytest.raises(UserError, match=said):
        now("unlabel.method.rotation")
    (package / "method/rotation.py").write_text(f"import os\n{text}")
    assert now("unlabel.method.rotation") != first


def test_every_module_has_a_fingerprint(package):
    files = [file.relative_to(package.parent) for file in package.rglob("*.py")]
    names = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    forget()
    assert all(map(fingerprint, names))
    assert len(names) > 100


def test_the_newest_file_is_among_those_that_are_imported(package):
    forget()
    assert {"unlabel.nn.losses", "unlabel.nn"} <= closure(["unlabel.method.simclr.SimCLR"])
    assert closure(["torch.nn"]) == set()
    (package / LOSSES).touch()
    assert newest(["unlabel.method.simclr.SimCLR"]) == package / LOSSES


def test_what_another_process_has_found_is_believed_of_just_this_code(package, monkeypatch):
    expected, modules = of("simclr"), closure(names("simclr"))
    told = tell()
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(reach, "Source", None)  # nothing need be followed
        learn(told)
        assert of("simclr") == expected
        assert closure(reversed(names("simclr"))) == modules
    forget()
    learn(told.replace(expected, expected[::-1]))
    learn(told[:-9])
    assert found == {}
    edit(package, (LOSSES, "", "\n# A comment\n"))
    forget()
    learn(told)
    assert found == {}
    assert of("simclr") == expected  # but it is followed again


def test_an_edit_while_a_job_loads_its_code_is_seen(tmp_path):
    """What was hashed is then not what was loaded."""
    shutil.copytree(
        Path(unlabel.__file__).parent,
        tmp_path / "unlabel",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    code = (
        "from pathlib import Path\n"
        "from unlabel.fingerprint.reach import code\n"
        "from unlabel.params.planned_code import edited\n"
        "code()\n"
        "print(edited(['unlabel.units']))\n"
        "path = Path('unlabel/units.py')\n"
        "path.write_text(path.read_text() + 'DASH = 1')\n"
        "print(edited(['unlabel.units']), edited(['unlabel.errors']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["False", "True", "False"], done.stderr
