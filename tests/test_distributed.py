"""Two processes that train together come to what one does with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import about, assembled, composed
from project import ROOT
from together import CASES, images, train
from unlabel import checkpoint, resume

PATH = os.pathsep.join([str(ROOT / "ssl"), str(ROOT / "tests")])


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """What two processes made of every case."""
    folder = tmp_path_factory.mktemp("together")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, str(ROOT / "tests/together.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": PATH},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_processes_train_as_one_does(case, together):
    first, second = (checkpoint.read(together / f"{case.name}.{rank}")[0] for rank in (0, 1))
    assert [key for key in first if not torch.equal(first[key], second[key])] == []

    before = resume.weights(assembled(composed(case.method, case.variant), about(images())))
    method, alone = train(case)
    assert alone.keys() == first.keys()
    trained = dict(method.named_parameters())
    for key, expected in alone.items():
        start = before.get(key, torch.zeros(())) if expected.is_floating_point() else 0
        moved, other = expected - start, first[key] - start
        far = (moved - other).double().norm()
        assert far <= 2e-3 * moved.double().norm() + 1e-6 * expected.double().norm(), key
    assert any(not torch.equal(trained[key], before[key]) for key in trained)
