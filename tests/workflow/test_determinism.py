"""The same bits whoever runs the workflow, wherever, whenever and on however many cores."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file

from support import project
from support.models import PRETRAIN, about, composed
from support.project import STUDY
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.workflow.forkserver import COUNTS

LOCALE = "tr_TR.ISO-8859-9"  # a decimal comma, an i that is no I, and an encoding that is not UTF-8
NOBODY = 65534
# Of each run: when, how long and where. Pages show that, too.
ABOUT = {"run.json", ".html"}
FLAGS = {"--params": "params.yaml", "--train": "train.arrow", "--state": "state", "--out": "run"}
# How far apart, relatively, two kinds of processor are after two epochs: their losses, and each
# layer's weights, where a rounding may decide on which side of zero a value is.
LOSS, WEIGHTS = 1e-3, 5e-2


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that any user may write to, below one of no ordinary name."""
    base = Path(tempfile.mkdtemp(prefix="unlabel-"))
    base.chmod(0o777)
    yield base / "ein anderer Ördner"
    shutil.rmtree(base)


def somebody() -> list[str]:
    """What makes a command another user's, where this one may; it must still read Python itself."""
    if os.getuid() or not shutil.which("setpriv"):
        return []
    caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *caps]


def locale(folder: Path) -> dict[str, str]:
    """A locale made for this test, where the system has what it is made from; else the plainest."""
    made = folder / LOCALE
    with suppress(FileNotFoundError):
        subprocess.run(["localedef", "-i", "tr_TR", "-f", "ISO-8859-9", made], capture_output=True)
    return {"LOCPATH": str(folder), "LC_ALL": LOCALE} if made.exists() else {"LC_ALL": "C"}


def results(folder: Path) -> dict[str, str]:
    """The sha256 of every file that is left below data and reports, but for those `ABOUT` a run."""
    files = [
        path
        for path in (*folder.glob("data/**/*"), *folder.glob("reports/**/*"))
        if path.is_file() and not {path.name, path.suffix} & ABOUT
    ]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_another_user_place_time_language_and_number_of_cores_give_the_same_bits(
    made: Path, elsewhere: Path
) -> None:
    folder = project.project(elsewhere, STUDY)
    other = {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "12345", "HOME": str(folder)}
    other |= {"OMP_NUM_THREADS": "3", "LANG": "", **locale(elsewhere.parent)}
    user = somebody()
    if user:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    done = subprocess.run(
        [*user, *project.command("--cores", "1")],
        cwd=folder,
        env=project.environment(**other),
        capture_output=True,
        umask=0o077,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found, expected = results(folder), results(made)
    assert len(expected) > 40
    assert {name for name in expected if found.get(name) != expected[name]} == set()
    assert found.keys() == expected.keys()


def trained(folder: Path, digits: Images, settings: dict, **extra: str) -> Path:
    """The folder of a run that a process of its own has trained, in that environment."""
    folder.mkdir()
    images.write(folder / "train.arrow", digits, about(digits))
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    words = [word for name in FLAGS.items() for word in name]
    command = [sys.executable, "-m", "unlabel", "pretrain", *words]
    environment = os.environ | {"PYTHONPATH": str(project.ROOT / "ssl")} | extra
    environment |= {"OMP_WAIT_POLICY": "passive"}  # of threads: other tests may have the core
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder / "run"


def test_threads_are_a_setting_and_not_the_environments(digits: Images, tmp_path: Path) -> None:
    """Two threads give their own bits, the same ones however many the machine would give."""
    settings = {"run": "r", **{key: composed("simclr")[key] for key in PRETRAIN}}
    settings["hardware"] = settings["hardware"] | {"threads": 2}
    counts = {str(n): {f"{name}_NUM_THREADS": str(n) for name in COUNTS} for n in (1, 2)}
    runs = [trained(tmp_path / n, digits, settings, **extra) for n, extra in counts.items()]
    one, two = ((run / "encoder.safetensors").read_bytes() for run in runs)
    assert one == two


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs a processor of several kinds")
def test_another_kind_of_processor_differs_by_rounding(digits: Images, tmp_path: Path) -> None:
    """In float32: the same machine, told to compute as one of an older kind does."""
    settings = {"run": "r", **{key: composed("simclr")[key] for key in PRETRAIN}}
    settings["hardware"] = settings["hardware"] | {"precision": "float32"}
    older = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    own, other = (
        trained(tmp_path / name, digits, settings, **extra)
        for name, extra in (("own", {}), ("other", older))
    )
    first, second = (loss(run) for run in (own, other))
    assert not np.array_equal(first, second)  # it is another kind indeed
    np.testing.assert_allclose(first, second, rtol=LOSS)
    weights, others = (load_file(run / "encoder.safetensors") for run in (own, other))
    for name, weight in weights.items():
        if weight.is_floating_point():
            assert (weight - others[name]).norm() <= WEIGHTS * weight.norm(), name


def loss(run: Path) -> np.ndarray:
    """Of each logged step of a training; the first row is of none."""
    return pd.read_parquet(run / "log.parquet").loss.to_numpy()[1:]
