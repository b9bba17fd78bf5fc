"""The benchmarks measure what they say; their page shows it."""

import json
import os
import runpy
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from support.project import ROOT
from unlabel.errors import UserError
from unlabel.stage import bench

HERE = ROOT / "tests/bench"


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """Benchmarks import each other by their bare names."""
    monkeypatch.syspath_prepend(str(HERE))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(HERE) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def row(**changed):
    from row import Row

    plain = {"case": "a", "against": "b", "ours": 6.0, "theirs": 3.0, "unit": "views/s"}
    return Row(**(plain | changed))


def test_functions_take_turns_and_the_median_is_of_those_after_the_first():
    from timing import interleaved

    now, turns, inside = 0.0, [], []
    ticks = {"slow": iter([100, 5, 3, 9]), "fast": iter([100, 1, 1, 1])}

    def contestant(name):
        def run():
            nonlocal now
            now += next(ticks[name])
            turns.append(name)
            assert inside == (["fast"] if name == "fast" else [])

        return run

    @contextmanager
    def around():
        nonlocal now
        now += 1000  # off the clock
        inside.append("fast")
        yield
        inside.remove("fast")

    functions = {name: contestant(name) for name in ticks}
    found = interleaved(functions, 3, lambda: now, {"fast": around})
    assert found == {"slow": 5, "fast": 1}
    assert turns == ["slow", "fast"] * 4


@pytest.mark.parametrize(
    ("unit", "ratio"), [("views/s", 2), ("images/s", 2), ("% right", 2), ("s", 0.5), ("MiB", 0.5)]
)
def test_more_is_better_of_rates_and_less_of_time_and_memory(unit, ratio):
    assert row(unit=unit).ratio == ratio
    assert row(unit=unit).written()["ratio"] == ratio


def test_each_benchmark_is_found_and_has_a_title():
    names = runpy.run_path(str(HERE / "__main__.py"))["names"]()
    assert {"augmentation", "step", "workflow", "probes", "memory", "gpu"} <= set(names)
    for name in names:
        assert "\nTITLE = " in (HERE / f"{name}.py").read_text(), name


def test_the_gpus_check_runs_from_one_folder_without_what_composes_settings(tmp_path):
    import gpu

    gpu.prepare(tmp_path / "carried", None)
    for name in ("hydra", "omegaconf", "snakemake", "dvc"):
        (tmp_path / "none").mkdir(exist_ok=True)
        (tmp_path / "none" / f"{name}.py").write_text("raise ImportError('it is not installed')")
    out = ("--out", "found", "--only", "step moco", "--smoke")
    done = subprocess.run(
        [sys.executable, tmp_path / "carried/gpu.py", *out],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "none"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found/results.json").read_text())
    assert list(found) == ["step moco", "seconds"]
    assert found["step moco"]["images/s"] > 0
    assert found["step moco"]["encoder passes"] == (2 if torch.cuda.is_available() else 9)
    assert ("not measured" in done.stdout) != torch.cuda.is_available()


def test_a_part_of_the_gpus_check_that_fails_ends_no_other(tmp_path, capsys):
    from gpu_check.findings import Findings

    def fails():
        raise RuntimeError("a kernel is missing")

    findings = Findings(tmp_path, 100)
    findings.phase("one", 5, fails)
    findings.phase("two", 200, fails)
    findings.phase("three", 5, lambda: findings.note("three", 3))
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["one"].startswith("FAILED")
    assert "a kernel is missing" in found["one"]
    assert found["two"] == "skipped: 100 s left, 200 needed"
    assert found["three"] == 3
    assert findings.failed() == ["one"]
    assert "three: 3" in capsys.readouterr().out


def test_the_probes_of_the_benchmark_agree_with_scikit_learns(monkeypatch):
    import probes

    monkeypatch.setattr(probes, "DIM", 128)
    data = (*probes.drawn(2000, 1), *probes.drawn(1000, 2))
    assert abs(probes.ours_linear(*data) - probes.theirs_linear(*data)) <= 0.01
    assert abs(probes.ours_knn(*data) - probes.theirs_knn(*data)) <= 0.01
    assert 0.3 < probes.ours_linear(*data) < 0.99  # neither by chance nor without a fault


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_probes_of_100_000_images_hold_no_copy_of_the_features(tmp_path):
    import memory

    number, dim = 100_000, 128
    memory.made(tmp_path, number, dim)
    size = number * dim * 4 / 2**20
    knn, linear = memory.probed(tmp_path, number, dim, kept=0, chunk=1 << 14)
    assert 1 < knn < 0.7 * size
    assert 1 < linear < 0.7 * size


def test_the_page_shows_each_row_and_counts_the_targets(tmp_path):
    rows = [row(target=1.5).written(), row(case="<script>", target=3).written(), row().written()]
    made = {"device": "CPU", "torch": "2", "python": "3", "commit": "abc"}
    record = {"some": {"title": "Some", "seconds": 3, "made": made, "rows": rows}}
    (tmp_path / "bench.json").write_text(json.dumps(record))
    bench.run(tmp_path / "bench.json", tmp_path / "bench.html")
    html = (tmp_path / "bench.html").read_text()
    assert "1 of 2 targets are met." in html
    assert "&lt;script&gt;" in html
    assert "<td>views/s</td>" in html
    (tmp_path / "bench.json").write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        bench.run(tmp_path / "bench.json", tmp_path / "bench.html")
    (tmp_path / "bench.json").write_text('{"some": {}}')
    with pytest.raises(UserError, match="does not hold benchmarks"):
        bench.run(tmp_path / "bench.json", tmp_path / "bench.html")
