"""The benchmarks measure what they say; their page shows it."""

import json
import runpy
import sys
from contextlib import contextmanager

import pytest

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


def test_the_gpus_benchmark_runs_on_a_cpu_and_then_says_nothing(capsys):
    import gpu
    import torch

    rows = list(gpu.step(16, "resnet_mini", 1))
    assert all(each.ours > 0 for each in rows[:1])
    assert len(rows) == 3
    if not torch.cuda.is_available():
        assert list(gpu.measure()) == []
        assert "not measured" in capsys.readouterr().out


def test_the_probes_of_the_benchmark_agree_with_scikit_learns(monkeypatch):
    import probes

    monkeypatch.setattr(probes, "DIM", 128)
    data = (*probes.drawn(2000, 1), *probes.drawn(1000, 2))
    assert abs(probes.ours_linear(*data) - probes.theirs_linear(*data)) <= 0.01
    assert abs(probes.ours_knn(*data) - probes.theirs_knn(*data)) <= 0.01
    assert 0.3 < probes.ours_linear(*data) < 0.99  # neither by chance nor without a fault


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
