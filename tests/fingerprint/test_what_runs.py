"""All code of the package that a stage really runs counts in the fingerprint of its job."""

import ast
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from support.models import about, composed
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.fingerprint import closure, counted, targets
from unlabel.fingerprint.reach import PACKAGE, source_of
from unlabel.params.settings import load
from unlabel.stage import features, finetune, measure, pretrain, probe
from unlabel.workflow.planned_runs import SECTIONS

METHODS = ("dino", "gan", "mae", "moco", "random")


class Trace:
    """The functions of the package that are called, by file and line, while this is open."""

    def __init__(self) -> None:
        self.called = set[tuple[str, int]]()

    def __enter__(self) -> "Trace":
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame, event, _) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            self.called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))


def uncounted(called: set[tuple[str, int]], *names: str) -> set[str]:
    """What was called and does not count for `names`."""
    lines: dict[str, set[int]] = {}
    for module, numbers in counted(names).items():
        source = source_of(module)
        for number in numbers:
            node = source.parts[number].node
            first = min([node.lineno, *(each.lineno for each in decorators(node))])
            lines.setdefault(str(source.path), set()).update(range(first, node.end_lineno + 1))
    return {
        f"{Path(file).relative_to(PACKAGE)}:{line}"
        for file, line in called
        if line not in lines.get(file, ())
    }


def decorators(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


@pytest.mark.parametrize("method", METHODS)
def test_all_that_a_training_runs_counts(digits, tmp_path, method):
    settings = composed(method)
    settings["run"] = "test"
    settings["training"] |= {"images": 32, "batch": 16, "epochs": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    part = Images(*(each[:64] for each in digits))
    images.write(tmp_path / "train.arrow", part, about(digits))
    files = ("params.yaml", "train.arrow", "state", "out")
    names = [*targets({name: settings[name] for name in SECTIONS["pretrain"]})]
    for module in closure(["unlabel.stage.pretrain", *names]):
        with suppress(ImportError):  # of a library; what a module does as it is loaded is no call
            import_module(module)
    with Trace() as trace:
        pretrain.run(*(tmp_path / name for name in files))
    assert len(trace.called) > 50
    assert uncounted(trace.called, "unlabel.stage.pretrain", *names) == set()
    assert uncounted(trace.called, "unlabel.stage.prepare")  # other code would be found


def test_all_that_the_later_stages_run_counts(trained):
    splits = [f"{name}.arrow" for name in ("train", "validation", "test")]
    weights, vectors = ["encoder.safetensors", "method.safetensors"], ["features", "views"]
    settings = load(trained / "params.yaml")
    for stage, run, files in (
        ("features", features.run, [*weights, *splits, *vectors]),
        ("probe", probe.run, [*vectors, "metrics"]),
        ("finetune", finetune.run, [weights[0], *splits, "finetune.json"]),
        ("measure", measure.run, [weights[0], *vectors, *splits, "measure.json"]),
    ):
        needed = {name: settings[name] for name in SECTIONS[stage]}
        if stage == "measure":
            needed["measure"] = {"robustness": settings["measure"]["robustness"] | {"images": 9}}
        (trained / "stage.yaml").write_text(yaml.safe_dump(needed | {"seed": 0}))
        with Trace() as trace:
            run(trained / "stage.yaml", *(trained / name for name in files))
        assert len(trace.called) > 50
        assert uncounted(trace.called, f"unlabel.stage.{stage}", *targets(needed)) == set()
