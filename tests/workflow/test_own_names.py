"""Sets of one's own images do not take each other's place."""

from pathlib import Path

import pytest

from support.models import PARAMS
from support.pixels import folder
from unlabel.data import images
from unlabel.errors import UserError
from unlabel.params import command_line
from unlabel.run import Run
from unlabel.stage import prepare
from unlabel.workflow import run_states
from unlabel.workflow.plan import Plan


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two sets of images."""
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "cats", tabby=range(8), manx=range(8, 16))
    folder(tmp_path / "my dogs", pug=range(20, 28), poodle=range(28, 36))
    return tmp_path


def plan(**config: object) -> Plan:
    config = {"dataset": "folder", "size": 8, **config}
    return Plan(PARAMS, Path("frozen"), command_line.asked(config, PARAMS))


def settings(of: str, **config: object) -> str:
    """What a set would be prepared with."""
    return plan(**config).dataset(of)["settings"]


def prepared(of: str, **config: object) -> None:
    """Prepare a set as the workflow does."""
    home = Path("data/prepared") / of
    splits = [home / f"{split}.arrow" for split in ("train", "validation", "test")]
    found = Path(settings(of, **config))
    prepare.run(found, Path("raw"), *splits, home / "report.json")


def test_other_images_under_a_taken_name_are_refused(work: Path) -> None:
    prepared("folder", path="cats")
    first = settings("folder", path="cats")
    mend = (
        "the dataset 'folder' is made of the images in cats, .* in my dogs a name of their own, "
        "as in --config dataset=folder path=my dogs name=my_dogs, or delete data/prepared/folder"
    )
    with pytest.raises(UserError, match=mend):
        settings("folder", path="my dogs")
    prepared("my_dogs", path="my dogs", name="my_dogs")
    assert settings("folder", path="cats") == first
    _, data = images.read(Path("data/prepared/my_dogs/train.arrow"))
    assert (data.name, data.classes) == ("my_dogs", ("poodle", "pug"))
    mend = (
        "the dataset 'my_dogs' is made of the images in my dogs, .* "
        "as in --config dataset=folder path=cats name=cats, or delete data/prepared/my_dogs"
    )
    with pytest.raises(UserError, match=mend):
        settings("my_dogs", path="cats", name="my_dogs")
    with pytest.raises(UserError, match="--config dataset=folder name=birds path=FOLDER"):
        settings("birds", path="none", name="birds")


def test_the_same_place_or_the_same_images_are_no_others(work: Path) -> None:
    prepared("folder", path="cats")
    (work / "cats/manx/new.png").write_bytes((work / "my dogs/pug/020.png").read_bytes())
    for path in ("cats", "./cats", str(work / "cats"), "cats/"):  # changed, as usual
        assert Path(settings("folder", path=path)).exists()
    (work / "cats/manx/new.png").unlink()
    (work / "cats").rename(work / "moved")
    assert Path(settings("folder", path="moved")).exists()
    assert Path(settings("folder", path="cats")).exists()  # not here, so what was prepared counts


def test_a_run_on_a_named_set_is_a_run_like_others(work: Path) -> None:
    prepared("pets", path="cats", name="pets")
    run = Run("tiny", "pets", "simclr", "base", 0)
    planned = plan(path="cats", name="pets")
    planned.add(run)
    (Path("data/runs") / run.folder).mkdir(parents=True)
    later = Plan(PARAMS, Path("frozen"))  # as `unlabel runs` plans, without --config
    (found,) = run_states.look(later, Path("data/runs"))
    assert found.state == "unfinished"
    later.add(run)
    for each in (planned, later):
        assert each.dataset("pets") == planned.dataset("pets")
        assert each.of(run, "pretrain") == planned.of(run, "pretrain")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "shapes"}, r"params/dataset/shapes.yaml is a dataset already; choose another"),
        ({"name": "a/b"}, "name=a/b is part of paths, so it must be of letters, digits"),
        ({"name": "-x"}, "and start with a letter or a digit"),
        (
            {"dataset": "digits", "name": "mine"},
            "name=mine is for images of your own; it needs",
        ),
        ({"dataset": None, "name": "mine"}, "name=mine is for images of your own; it needs"),
    ],
)
def test_wrong_names_are_refused(config: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        command_line.asked({"dataset": "folder", "path": "cats", **config}, PARAMS)
