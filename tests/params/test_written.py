"""Files of people: nothing in them is passed over, whatever wrote them."""

import shutil
from pathlib import Path

import pytest

from support.models import PARAMS
from unlabel.errors import UserError
from unlabel.params import compose, written
from unlabel.params.command_line import ChosenDataset
from unlabel.workflow.kept_plan import KeptPlan


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return shutil.copytree(PARAMS, tmp_path / "params")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice, in lines 1 and 3; leave one of them out"),
        ("arms:\n  64: 1\n  '64': 2", "the key '64' is there twice, in lines 2 and 3"),
        ("a: {b: 1, b: 2}", "the key 'b' is there twice, in lines 1 and 1"),
        ("a: [{b: 1, b: 2}]", "the key 'b' is there twice"),
        ("a: 1\n5: 2", "has the key 5, but settings have names"),
        ("of: {_target_: x, 5: 2}", "of has the key 5, but settings have names"),
    ],
)
def test_a_key_that_hides_another_is_refused(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=said) as error:
        written.load(tmp_path / "a.yaml")
    assert "\n" not in str(error.value)


def test_what_is_read_is_what_is_written(tmp_path):
    (tmp_path / "a.yaml").write_text("arms: {64: [x], 6.4: &a {b: 1}}\nrest: {<<: *a, b: 2}")
    found = written.load(tmp_path / "a.yaml")
    assert found == {"arms": {64: ["x"], 6.4: {"b": 1}}, "rest": {"b": 2}}


def test_files_that_cannot_be_read_are_explained(tmp_path):
    for text, said in (("a: [1", "is not valid YAML"), ("- 1", "holds no settings")):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(UserError, match=said):
            written.load(tmp_path / "a.yaml")
    with pytest.raises(UserError, match="cannot read the settings"):
        written.load(tmp_path / "none.yaml")


def test_hidden_files_are_no_recipes(params, tmp_path):
    """Emacs's lock is a link that leads nowhere; macOS keeps attributes in binary files."""

    def kept() -> str:
        return KeptPlan.of(params, tmp_path / "frozen", ChosenDataset()).path.name

    before, names = kept(), compose.names(params, "method")
    (params / "method/.#simclr.yaml").symlink_to("user@host.123:456")
    (params / "method/._simclr.yaml").write_bytes(b"\x00\x05\x16\x07\xff\xfe")
    assert kept() == before
    assert compose.names(params, "method") == names


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_recipe_that_is_no_file_is_named(params, tmp_path, kind):
    path = params / "study/old.yaml"
    path.symlink_to("nowhere.yaml") if kind == "link" else path.mkdir()
    with pytest.raises(UserError, match=r"study/old.yaml is no file; remove it, or give it"):
        KeptPlan.of(params, tmp_path / "frozen", ChosenDataset())


@pytest.mark.parametrize(
    "name", ["method/simclr", "probe/knn", "budget/tiny", "dataset/digits", "run", "config"]
)
def test_a_recipe_that_is_not_utf_8_is_named(params, tmp_path, name):
    path = params / f"{name}.yaml"
    path.write_bytes(path.read_bytes() + "\n# é\n".encode("latin-1"))
    with pytest.raises(UserError, match=f"{name}.yaml is not valid YAML .'utf-8' codec"):
        compose.settings(params, "tiny", "digits", "simclr", "base")
    KeptPlan.of(params, tmp_path / "frozen", ChosenDataset())  # reads it as bytes
