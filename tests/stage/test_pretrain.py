"""Which images a training sees, and what it does not go on from."""

import signal

import pytest
import torch
import yaml

from support.models import about, composed
from unlabel import hardware
from unlabel.data import images
from unlabel.errors import UserError
from unlabel.stage import pretrain
from unlabel.training import checkpoint
from unlabel.training.loop import Training


def test_only_what_learns_from_labels_sees_fewer_and_wrong_ones(digits, tmp_path):
    images.write(tmp_path / "train.arrow", digits, about(digits))
    few = Training(epochs=1, batch=16, images=400, labels=0.2, label_noise=0.25)

    def examples(method, training=few, seed=0):
        settings = composed(method) | {"seed": seed}
        return pretrain._examples(tmp_path / "train.arrow", training, settings)

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
    training = Training(epochs=1, batch=256, accumulate=8)
    fitted = pretrain._fitted(training, 220, "quick/folder/simclr/base/0")
    assert (fitted.batch, fitted.steps(220)) == (216, 1)
    said = "there are 220 images to train on, fewer than a batch of 256; the batch is 216"
    assert said in capsys.readouterr().err
    with pytest.raises(UserError, match="training.batch is 256, but there are only 220 images"):
        pretrain._fitted(training, 220, "quick/folder/simclr/training.batch=256/0")
    assert pretrain._fitted(training, 256, "") is training
    with pytest.raises(UserError, match="training.batch is 256, but there are only 4 images"):
        pretrain._fitted(training, 4, "")


def test_a_training_does_not_go_on_in_another_precision(digits, tmp_path, monkeypatch):
    images.write(tmp_path / "train.arrow", digits, about(digits))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(composed("simclr") | {"run": "a run"}))
    files = [tmp_path / name for name in ("params.yaml", "train.arrow", "state", "out")]
    save = checkpoint.save

    def cut_off(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    terminate = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(pretrain, "SECONDS", 0)
    monkeypatch.setattr(checkpoint, "save", cut_off)
    monkeypatch.setattr(hardware, "_has_bfloat16", lambda device: False)
    try:
        with pytest.raises(KeyboardInterrupt):
            pretrain.run(*files)
        monkeypatch.setattr(hardware, "_has_bfloat16", lambda device: True)  # requeued elsewhere
        with pytest.raises(
            UserError, match=r"hardware.precision is 'float32' there and 'bfloat16' here"
        ):
            pretrain.run(*files)
    finally:
        signal.signal(signal.SIGTERM, terminate)
    assert (tmp_path / "state/state.safetensors").exists()
