"""Images that memory does not hold: kept encoded, decoded ahead, the same bits as pixels."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from support.models import about, assembled, composed
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.compressed import CompressedImages, encode, spool
from unlabel.data.images import Images
from unlabel.hardware import Hardware
from unlabel.params.settings import build
from unlabel.training.loop import Training, fit

SPLITS = ("train", "validation", "test")


BOUNDS = {"train": (0, 300), "validation": (300, 400), "test": (400, 500)}


def damaged(png: Images, place: int, folder: Path) -> Images:
    files = png.image.file_bytes()
    files[place] = files[place][:40]
    ids = png.id + 1000
    image = CompressedImages(spool(files, folder), ids, png.image.size, "train.arrow")
    return png._replace(id=ids, image=image)


def trained(images: Images, workers: int, start: int = 0, accumulate: int = 1):
    hardware = Hardware(device="cpu", precision="float32", workers=workers)
    hardware.configure()
    settings = composed("simclr")
    method = hardware.move(assembled(settings, about(images)))
    optimizers = [build(settings["optimizer"], module=method)]
    training = Training(epochs=2, batch=40, accumulate=accumulate)
    steps = fit(method, images, optimizers, training, hardware, 0, start)
    return method, [step.losses[0].item() for step in steps]


def test_a_training_has_the_same_bits_encoded_or_not(digits: Images, png: Images) -> None:
    digits, png = (each.take(slice(200)) for each in (digits, png))
    whole, losses = trained(digits, 0)
    for workers in (0, 1, 3):
        other, same = trained(png, workers)
        assert same == losses
        for key, value in whole.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key
    assert trained(digits, 0, accumulate=4)[1] == trained(png, 2, accumulate=4)[1]
    # taken up in the midst of an epoch
    assert trained(digits, 0, start=7)[1] == trained(png, 2, start=7)[1]


def settings_of(folder: Path, **hardware: object) -> Path:
    settings = composed("simclr")
    settings["hardware"] |= {"device": "cpu", "precision": "float32"} | hardware
    settings["training"] |= {"images": 120, "batch": 40}
    settings["probe"] = {name: settings["probe"][name] for name in settings["transfer"]["probes"]}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({"run": "test", **settings}, sort_keys=False))
    return path


def pretrain(folder: Path, data: Path) -> list[str]:
    flags = {"params": folder / "params.yaml", "train": data / "train.arrow"}
    flags |= {"state": folder / "state", "out": folder / "run"}
    return ["pretrain", *(word for k, v in flags.items() for word in (f"--{k}", str(v)))]


def split_into(folder: Path, every: Images) -> Path:
    folder.mkdir()
    for name, (start, end) in BOUNDS.items():
        images.write(folder / f"{name}.arrow", every.take(slice(start, end)), about(every))
    return folder


@pytest.fixture
def datasets(digits: Images, png: Images, tmp_path: Path) -> dict[str, Path]:
    """The same images as pixels and encoded."""
    kinds = {"pixels": digits, "encoded": png}
    return {kind: split_into(tmp_path / kind, every) for kind, every in kinds.items()}


def test_every_stage_gives_the_same_bytes_encoded_or_not(
    datasets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: dict[str, dict[str, bytes]] = {}
    for kind, data in datasets.items():
        folder = tmp_path / f"of {kind}"
        folder.mkdir()
        # Settings differ in a number that has no effect on bits.
        params = settings_of(folder, workers=2 if kind == "encoded" else 0)
        main(pretrain(folder, data))
        splits = [word for name in SPLITS for word in (f"--{name}", str(data / f"{name}.arrow"))]
        encoder = ["--params", str(params), "--encoder", str(folder / "run/encoder.safetensors")]
        rest = ["--method", str(folder / "run/method.safetensors")]
        out = {name: str(folder / name) for name in ("features", "views", "finetune", "transfer")}
        features = ["--out", out["features"], "--views", out["views"]]
        main(["features", *encoder, *rest, *splits, *features])
        for stage in ("finetune", "transfer"):
            main([stage, *encoder, *splits, "--out", out[stage]])
        files = [*out.values(), *(folder / "run" / f for f in ("log.parquet", "pictures.parquet"))]
        files += [folder / "run/encoder.safetensors", folder / "run/method.safetensors"]
        made[kind] = {Path(file).name: Path(file).read_bytes() for file in files}
    capsys.readouterr()
    assert made["pixels"].keys() == made["encoded"].keys()
    assert [k for k in made["pixels"] if made["pixels"][k] != made["encoded"][k]] == []
    assert json.loads(made["encoded"]["finetune"])["finetune_100"] > 0


def test_the_nearest_images_are_drawn(datasets: dict[str, Path]) -> None:
    from unlabel.features.split import Features, Split
    from unlabel.report import encoder_charts

    drawn = []
    for data in datasets.values():
        train, test = (images.read(data / f"{name}.arrow")[0] for name in ("train", "test"))
        parts = [Split(e.id, e.label, e.factor, e.pixels.flatten(1).float()) for e in (train, test)]
        found = Features(*parts, parts[1], {}, tuple("0123456789"), {})
        drawn.append(encoder_charts._neighbours(found, train, test, None))
    assert drawn[0] == drawn[1]


def test_a_killed_run_leaves_no_worker_and_goes_on_to_the_same_bits(
    datasets: dict[str, Path], tmp_path: Path
) -> None:
    params = settings_of(tmp_path, workers=2)
    settings = yaml.safe_load(params.read_text())
    settings["training"] |= {"epochs": 20, "images": 80}
    params.write_text(yaml.safe_dump(settings, sort_keys=False))
    words = pretrain(tmp_path, datasets["encoded"])
    main(words)
    whole = (tmp_path / "run").rename(tmp_path / "whole")
    run = subprocess.Popen(
        [sys.executable, "-m", "unlabel", *words],
        env=os.environ | {"UNLABEL_CHECKPOINT_SECONDS": "0"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while not (tmp_path / "state/state.safetensors").exists() and time.monotonic() < until:
        time.sleep(0.02)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)  # nothing that it started is left
    assert (tmp_path / "state/state.safetensors").exists()
    main(words)
    for name in ("encoder.safetensors", "method.safetensors", "log.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_a_damaged_image_ends_a_run_with_one_sentence(
    datasets: dict[str, Path], tmp_path: Path
) -> None:
    settings_of(tmp_path, workers=2)
    train = datasets["encoded"] / "train.arrow"
    found, data = images.read(train)
    images.write(train, damaged(found, 5, tmp_path), data)
    command = [sys.executable, "-m", "unlabel", *pretrain(tmp_path, datasets["encoded"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: image 1005 of {train} is damaged (")
    assert done.stderr.count("\n") == 1


SIDE, SIZE = 512, 416


LIMIT = SIZE * 3 * SIDE**2 // 4  # 78 MiB


LIMITED = """
    import resource, sys
    from pathlib import Path
    import torch
    from torch import nn
    from unlabel.data import images
    from unlabel.hardware import Hardware
    from unlabel.method import Method
    from unlabel.training.optimizer import sgd
    from unlabel.training.loop import Training, fit

    class Mean(Method):
        def __init__(self, data):
            super().__init__(nn.Identity(), data)
            self.head = nn.Linear(3, 1)

        def step(self, batch):
            yield self.head(batch.x.mean((2, 3))).square().mean()

    path, workers, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    found, data = images.read(path)
    hardware = Hardware(device="cpu", precision="float32", workers=workers)
    hardware.configure()
    torch.manual_seed(0)
    method = Mean(data)
    now = next(line for line in Path("/proc/self/status").open() if line.startswith("VmData"))
    most = int(now.split()[1]) * 1024 + limit
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        found.pixels.clone()
    except RuntimeError:
        print("does not fit", end=" ")
    found = found.take(found.label >= 0)
    training = Training(epochs=1, batch=2)
    steps = sum(1 for _ in fit(method, found, [sgd(method)], training, hardware, 0))
    print(steps, method.head.weight.tolist())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_set_is_trained_on_in_a_quarter_of_its_size(tmp_path: Path) -> None:
    """RLIMIT_DATA counts what a process has of its own, and no pages of mapped files."""
    draw = np.random.default_rng(0)
    some = np.kron(draw.integers(0, 256, (32, 3, 8, 8)), np.ones((64, 64))).astype(np.uint8)
    size = (3, SIDE, SIDE)
    few = torch.from_numpy(some).repeat(SIZE // 32, 1, 1, 1)
    assert few.nbytes == 4 * LIMIT
    every = Images.of(torch.arange(SIZE), few, torch.arange(SIZE) % 4)
    images.write(tmp_path / "pixels.arrow", every, about(every))
    files = [encode(each, "png") for each in some] * (SIZE // 32)
    image = CompressedImages(spool(files, tmp_path), every.id, size, "these")
    stored = every._replace(image=image)
    images.write(tmp_path / "png.arrow", stored, about(stored))
    said = set()
    for name, workers in (("pixels", 0), ("png", 0), ("png", 1)):
        command = [sys.executable, "-c", textwrap.dedent(LIMITED)]
        words = [str(tmp_path / f"{name}.arrow"), str(workers), str(LIMIT)]
        done = subprocess.run(command + words, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, (name, workers, done.stderr)
        said.add(done.stdout)
    assert len(said) == 1
    assert said.pop().startswith(f"does not fit {SIZE // 2} [")
