"""Which images a training sees, and what it does not go on from."""

import shutil
import signal

import pytest
import torch
import yaml

from support.models import about, composed
from unlabel import hardware
from unlabel.data import images
from unlabel.errors import UserError
from unlabel.run import ASIDE
from unlabel.stage import pretrain
from unlabel.training import checkpoint, finished, state
from unlabel.training.examples import choose
from unlabel.training.loop import Training


def test_only_what_learns_from_labels_sees_fewer_and_wrong_ones(digits, tmp_path):
    images.write(tmp_path / "train.arrow", digits, about(digits))
    few = Training(epochs=1, batch=16, images=400, labels=0.2, label_noise=0.25)

    def examples(method, training=few, seed=0):
        settings = composed(method) | {"seed": seed}
        train = tmp_path / "train.arrow"
        return choose(images.read(train), train, training, settings)

    every, data = examples("simclr")
    assert (len(every.id), data.size) == (400, 400)
    assert torch.equal(every.label, digits.label[every.id])
    for method in ("supervised", "supcon"):
        some, data = examples(method)
        truth = digits.label[some.id]
        sizes = every.label.bincount().tolist()
        assert truth.bincount().tolist() == [int(0.2 * n + 0.5) for n in sizes]
        assert data.size == len(some.id) == pytest.approx(80, abs=3)
        assert (some.label != truth).sum() == int(0.25 * len(truth) + 0.5)
        assert set(some.id.tolist()) < set(every.id.tolist())
        assert torch.equal(some.image, digits.image[some.id])
    assert examples("supervised", seed=1)[0].id.tolist() != some.id.tolist()
    whole, _ = examples("supervised", Training(epochs=1, batch=16, images=400))
    assert torch.equal(whole.label, every.label)


def test_a_budgets_batch_fits_fewer_images_and_a_variants_is_refused(capsys):
    settings = composed("simclr", "training.accumulate=8+training.batch=256")

    def fitted(images, variant="base"):
        return pretrain._fitted(settings | {"run": f"quick/folder/simclr/{variant}/0"}, images)

    training, method, changes = fitted(220)
    assert (training.batch, training.steps(220) // training.epochs) == (216, 1)
    assert (method, changes) == (settings["method"], {"batch": [256, 216]})
    said = "220 images to train on, so batch is 216 and not 256"
    assert said in capsys.readouterr().err
    with pytest.raises(UserError, match="training.batch is 256, but there are only 220 images"):
        fitted(220, "training.batch=256")
    assert fitted(256).changes == {}
    with pytest.raises(UserError, match="training.batch is 256, but there are only 4 images"):
        fitted(4)


@pytest.mark.parametrize(
    ("method", "images", "batch", "queue"),
    [
        ("moco", 288, 64, 192),  # three batches; the rest is less than one
        ("moco", 1280, 256, 1024),  # all that are not in the batch
        ("moco", 1279, 256, 768),
        ("moco_v1", 288, 256, 0),  # the negatives are in the batch
        ("looc", 216, 216, 0),
        ("nnclr", 288, 64, 192),
        ("nnclr", 216, 216, 216),  # no negatives, and without any there is no neighbour
    ],
)
def test_a_recipes_queue_has_no_more_keys_than_other_images(method, images, batch, queue):
    settings = composed(method, f"training.batch={batch}") | {"run": "quick/folder/it/base/0"}
    assert settings["method"]["queue"] == 1024
    fitted = pretrain._fitted(settings, images)
    changes = {} if queue == 1024 else {"queue": [1024, queue]}
    assert fitted.changes == changes
    assert fitted.method == settings["method"] | {"queue": queue}


def test_mocos_parts_of_a_small_batch_have_two_images():
    settings = composed("moco", "method.queue=0") | {"run": "tiny/folder/moco/base/0"}
    assert pretrain._fitted(settings, 6).changes == {"batch": [64, 6], "splits": [4, 3]}


def test_a_variants_queue_that_does_not_fit_is_refused():
    settings = composed("moco", "method.queue=200") | {"run": "tiny/folder/moco/method.queue=200/0"}
    assert pretrain._fitted(settings, 264).changes == {}  # 200 others
    with pytest.raises(UserError, match="method.queue is 200, but .* only 263 .* set it to 192"):
        pretrain._fitted(settings, 263)


@pytest.fixture
def cut_off(monkeypatch):
    """Has a training end when it has saved its state for the first time."""
    save, terminate = checkpoint.save, signal.getsignal(signal.SIGTERM)

    def save_and_end(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(state, "SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_end)
        yield patch
    signal.signal(signal.SIGTERM, terminate)


def prepared(folder, digits):
    """The arguments of a training of SimCLR on these images."""
    images.write(folder / "train.arrow", digits, about(digits))
    (folder / "params.yaml").write_text(yaml.safe_dump(composed("simclr") | {"run": "a run"}))
    return [folder / name for name in ("params.yaml", "train.arrow", "state", "out")]


@pytest.mark.parametrize("kind", ["train", "validation"])
def test_a_training_starts_again_if_its_images_are_others(digits, tmp_path, capsys, cut_off, kind):
    files, others = prepared(tmp_path, digits), digits.take(torch.arange(400))
    validation = tmp_path / "validation.arrow"
    images.write(validation, digits, about(digits))
    with pytest.raises(KeyboardInterrupt):
        pretrain.run(*files, validation)
    cut_off.undo()
    path = {"train": files[1], "validation": validation}[kind]
    images.write(path, others, about(others))
    pretrain.run(*files, validation)
    assert "a run: the images are no longer the same; starting again" in capsys.readouterr().err
    again = [*files[:2], tmp_path / "other.state", tmp_path / "other"]
    pretrain.run(*again, validation)
    for name in ("encoder.safetensors", "log.parquet"):
        assert (files[3] / name).read_bytes() == (again[3] / name).read_bytes()


def test_a_training_that_was_put_aside_is_made_again_if_its_images_are_others(digits, tmp_path):
    files, others = prepared(tmp_path, digits), digits.take(torch.arange(400))
    pretrain.run(*files)
    first = (files[3] / "encoder.safetensors").read_bytes()
    aside = tmp_path / "aside"
    files[3].rename(aside)
    for expected, at in ((True, digits), (False, others)):
        files[3].mkdir(exist_ok=True)
        shutil.copytree(aside, files[3] / ASIDE)
        images.write(files[1], at, about(at))
        pretrain.run(*files)
        assert ((files[3] / "encoder.safetensors").read_bytes() == first) == expected
        shutil.rmtree(files[3])


@pytest.mark.parametrize("name", ["encoder.safetensors", "pictures.parquet", "run.json"])
def test_files_that_were_changed_are_not_taken_for_a_finished_training(
    digits, tmp_path, capsys, name
):
    files, aside = prepared(tmp_path, digits), tmp_path / "aside"
    pretrain.run(*files)
    first = (files[3] / "encoder.safetensors").read_bytes()
    pretrain.run(*files)
    assert "is trained already" in capsys.readouterr().err
    shutil.copytree(files[3], aside)
    if name == "run.json":
        (aside / name).write_text((aside / name).read_text().replace('"seconds": ', '"seconds": 9'))
    else:
        (aside / name).write_bytes((aside / "log.parquet").read_bytes())
    for folder in (files[3] / ASIDE, files[3]):
        shutil.rmtree(files[3])
        shutil.copytree(aside, folder)
        pretrain.run(*files)
        assert "taken back" not in (said := capsys.readouterr().err)
        assert ("were changed; the run is trained again" in said) == (folder == files[3])
        assert (files[3] / "encoder.safetensors").read_bytes() == first
        assert finished.is_whole(files[3])


def test_a_training_does_not_go_on_in_another_precision(digits, tmp_path, monkeypatch, cut_off):
    files = prepared(tmp_path, digits)
    monkeypatch.setattr(hardware, "_has_bfloat16", lambda device: False)
    with pytest.raises(KeyboardInterrupt):
        pretrain.run(*files)
    monkeypatch.setattr(hardware, "_has_bfloat16", lambda device: True)  # requeued elsewhere
    with pytest.raises(
        UserError, match=r"hardware.precision is 'float32' there and 'bfloat16' here"
    ):
        pretrain.run(*files)
    assert (tmp_path / "state/state.safetensors").exists()
