"""A hostile copy of CIFAR runs nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torchvision

from support import published
from support.harmful import hostile
from support.published import write_folder, write_tar
from support.small_datasets import SMALL, Small
from unlabel.dataset.cifar import CIFAR10
from unlabel.errors import UserError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Small]:
    """Makes a small dataset, which is then taken for the published one."""
    return lambda name, url="": SMALL[name](monkeypatch.setattr, tmp_path, url)


@pytest.mark.parametrize("form", ["python archive", "python folder"])
def test_a_hostile_copy_of_cifar_is_refused(
    form: str, small: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its checksum were right."""
    made = small("cifar10")
    theirs = torchvision.datasets.CIFAR10
    batch = hostile(tmp_path / "called")["a call"]
    files = made.forms["python folder"] | {f"{theirs.base_folder}/data_batch_1": batch}
    root = write_folder(tmp_path / "root", files)
    if form == "python archive":
        packed = write_tar(tmp_path / "packed.tgz", files).read_bytes()
        root = write_folder(tmp_path / "packed", {theirs.filename: packed})
        monkeypatch.setattr(theirs, "tgz_md5", published.checksum(packed, "md5"))
    with pytest.raises(
        UserError,
        match="is not the file that was published"
        if "fold" in form
        else r"data_batch_1 is not a batch of CIFAR-10: it names posix\.system",
    ):
        CIFAR10(root=str(root)).load(tmp_path / "raw")
    md5 = {"data_batch_1": published.checksum(batch, "md5")}
    monkeypatch.setattr(
        theirs, "train_list", [[name, md5.get(name, right)] for name, right in theirs.train_list]
    )
    with pytest.raises(
        UserError, match=r"data_batch_1 is not a batch of CIFAR-10: it names posix\."
    ):
        CIFAR10(root=str(root)).load(tmp_path / "raw")
    assert not (tmp_path / "called").exists()
