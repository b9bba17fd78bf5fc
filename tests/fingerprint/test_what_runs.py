"""All code of the package that a stage really runs counts in the fingerprint of its job."""

import ast
import sys
from pathlib import Path

import pytest
import yaml

from support.models import about, composed
from unlabel import fingerprint as code
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.fingerprint import targets
from unlabel.stage import pretrain

METHODS = ("byol", "dino", "gan", "jigsaw", "mae", "moco", "random", "simclr", "supervised", "vae")
PACKAGE = str(code.PACKAGE)


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
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))


def uncounted(called: set[tuple[str, int]], *names: str) -> set[str]:
    """What was called and does not count for `names`."""
    counted = code._counted(names)
    lines = {str(code._source(module).path): set() for module in counted}
    for module, numbers in counted.items():
        source = code._source(module)
        for number in numbers:
            node = source.parts[number].node
            first = min([node.lineno, *(each.lineno for each in decorators(node))])
            lines[str(source.path)] |= {*range(first, node.end_lineno + 1)}
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
    with Trace() as trace:
        pretrain.run(
            tmp_path / "params.yaml", tmp_path / "train.arrow", tmp_path / "state", tmp_path / "out"
        )
    assert len(trace.called) > 50
    names = ("unlabel.stage.pretrain", *targets(settings))
    assert uncounted(trace.called, *names) == set()
    assert uncounted(trace.called, "unlabel.stage.prepare")  # other code would be found
