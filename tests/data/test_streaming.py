"""Images that memory does not hold: kept encoded, decoded ahead, the same bits as pixels."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import yaml

from support.models import PARAMS, about, assembled, composed
from unlabel.cli import main
from unlabel.data import compressed, images, loader
from unlabel.data.compressed import Encoded, encode, spool
from unlabel.data.images import Images
from unlabel.data.loader import batches, load
from unlabel.dataset import moments
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.params.settings import build
from unlabel.stage import prepare
from unlabel.training.loop import Training, fit

SPLITS = ("train", "validation", "test")
BOUNDS = {"train": (0, 300), "validation": (300, 400), "test": (400, 500)}


def kept(images: Images, folder: Path, format: compressed.Format = "png") -> Images:
    """The same images, encoded."""
    files = spool((encode(pixels, format) for pixels in images.image.numpy()), folder)
    return images._replace(image=Encoded(files, images.id, about(images).shape, "these"))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several blocks and several shares of a batch also where there are few images."""
    for module in (compressed, images):
        monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(loader, "SHARE", 7)


@pytest.fixture
def png(digits: Images, tmp_path: Path, small_blocks: None) -> Images:
    return kept(digits, tmp_path / "spool")


# The contract


def test_encoded_images_answer_as_a_tensor_does(digits: Images, png: Images) -> None:
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))[:99]
    for index in (slice(3, 130), slice(490, None), order, digits.label == 3, order[:0]):
        some = png.take(index)
        assert isinstance(some.image, Encoded)
        assert torch.equal(some.pixels, digits.image[index])
        assert torch.equal(some.label, digits.label[index])
        assert some.image.shape == digits.image[index].shape
        assert some.image.nbytes == digits.image[index].nbytes
        assert len(some.image) == len(some.id)
        assert torch.equal(some.take(slice(2, 5)).pixels, digits.image[index][2:5])
    assert png.image.device == digits.image.device
    assert moments(png.image) == moments(digits.image)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_nearly_and_png_exactly_what_was_encoded(channels: int) -> None:
    draw = np.random.default_rng(0)
    smooth = np.kron(draw.integers(0, 256, (channels, 5, 4)), np.ones((1, 6, 6))).astype(np.uint8)
    assert (compressed.decode(encode(smooth, "png"), smooth.shape) == smooth).all()
    near = compressed.decode(encode(smooth, "jpeg"), smooth.shape)
    assert 0 < np.abs(near.astype(int) - smooth).mean() < 2


def test_of_all_images_nothing_is_copied(digits: Images, png: Images) -> None:
    for every in (digits, png):
        assert every.take(torch.arange(500)) is every
        assert every.take(every.label >= 0) is every
        assert every.take(every.label >= 0).image is every.image
        assert len(every.take(torch.arange(499)).id) == 499
    turned = digits.take(torch.arange(500).flip(0))
    assert torch.equal(turned.image, digits.image.flip(0))


def test_a_file_holds_the_bytes_in_blocks(digits: Images, png: Images, tmp_path: Path) -> None:
    factor = torch.stack([digits.label % 2, torch.where(digits.id % 5 == 0, -1, 1)], 1)
    data = about(digits)
    data = type(data)(**vars(data) | {"factors": {"parity": ("0", "1"), "tilt": ("a", "b")}})
    label = digits.label.where(digits.id % 7 > 0, -1)
    path = tmp_path / "train.arrow"
    images.write(path, png._replace(label=label, factor=factor), data)
    found, described = images.read(path)
    assert described == data
    assert isinstance(found.image, Encoded)
    assert found.image.encoded() == png.image.encoded()
    assert torch.equal(found.pixels, digits.image)
    for ours, theirs in ((found.id, digits.id), (found.label, label), (found.factor, factor)):
        assert torch.equal(ours, theirs)
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    assert [len(file.get_batch(n)) for n in range(file.num_record_batches)] == [64] * 7 + [52]
    images.write(tmp_path / "none.arrow", png.take(slice(0)), about(digits))
    assert images.read(tmp_path / "none.arrow")[0].image.shape == (0, 1, 16, 16)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(png: Images, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "train.arrow"
    images.write(path, png, about(png))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(UserError, match=r"train\.arrow is not a whole prepared dataset"):
        images.read(path)


def test_pixels_may_be_more_than_two_gib(tmp_path: Path) -> None:
    side = 27_000
    pixels = torch.zeros(3, 1, side, side, dtype=torch.uint8)
    pixels[2, 0, -1, -1] = 7
    several = Images.of(torch.arange(3), pixels, torch.zeros(3).long())
    path = tmp_path / "large.arrow"
    images.write(path, several, about(several))
    found, _ = images.read(path)
    path.unlink()  # pytest keeps the folders of its last runs
    assert found.image.shape == pixels.shape
    assert found.image[2, 0, -1, -1] == 7


def test_offsets_that_lead_out_of_the_file_are_refused(png: Images, tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    images.write(path, png, about(png))
    content = bytearray(path.read_bytes())
    lengths = np.cumsum([0, *map(len, png.image.encoded()[:64])]).astype(np.int32)
    place = content.index(lengths.tobytes())
    content[place + 4 : place + 8] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train\.arrow is not a whole prepared dataset"):
        images.read(path)


def prepared(folder: Path, **recipe: object) -> list[tuple[Images, images.Data]]:
    digits = yaml.safe_load((PARAMS / "dataset/digits.yaml").read_text())
    recipe = recipe if "_target_" in recipe else digits | recipe
    (folder / "params.yaml").write_text(yaml.safe_dump({"name": "d", "dataset": recipe}))
    paths = [folder / f"{split}.arrow" for split in SPLITS]
    prepare.run(folder / "params.yaml", folder / "raw", *paths)
    return [images.read(path) for path in paths]


def test_any_dataset_is_prepared_encoded(tmp_path: Path) -> None:
    plain = prepared(tmp_path)
    exact = prepared(tmp_path, encoded="png")
    near = prepared(tmp_path, encoded="jpeg", scale=4)
    for (images_, data), (png, same), (jpeg, other) in zip(plain, exact, near, strict=True):
        assert same == data
        assert torch.equal(png.pixels, images_.image)
        assert png.id.tolist() == jpeg.id.tolist() == images_.id.tolist()
        assert other.mean == pytest.approx(data.mean, abs=5e-3)
        large = images_.image.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert (jpeg.pixels.float() - large).abs().mean() < 4
    assert not any((tmp_path / "raw").iterdir())
    with pytest.raises(UserError, match=r"dataset.encoded is 'gif', but must be one of 'jpeg'"):
        prepared(tmp_path, encoded="gif")


def folder_of(files: dict[str, bytes], root: Path) -> dict[str, object]:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return {"_target_": "unlabel.dataset.folder.Folder", "path": str(root), "size": 64}


def test_a_folder_is_encoded_as_it_is_read_with_the_same_pixels(
    tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the right size are kept as they are, of any other are made anew; png is exact."""
    draw = np.random.default_rng(0)
    sizes = ((64, 64), (72, 80), (64, 64), (40, 40))

    def smooth(channels: int, height: int, width: int) -> np.ndarray:
        few = draw.integers(0, 256, (channels, height // 8, width // 8))
        return np.kron(few, np.ones((8, 8))).astype(np.uint8)

    files = {
        f"{kind}/{n}.jpg": encode(smooth(3, *size), "jpeg")
        for kind in "ab"
        for n, size in enumerate(sizes * 10)
    }
    grey = encode(smooth(1, 64, 64), "jpeg")
    files |= {"a/grey.jpg": grey, "a/again.jpg": grey, "b/damaged.jpg": grey[:99]}
    recipe = folder_of(files, tmp_path / "mine") | {"unreadable": 0.1}
    plain = prepared(tmp_path, **recipe)
    monkeypatch.setattr(np, "empty", None)  # there is never a place for all pixels
    found = prepared(tmp_path, **recipe, encoded="png")
    for (ours, same), (theirs, data) in zip(found, plain, strict=True):
        assert same == data
        assert isinstance(ours.image, Encoded)
        assert torch.equal(ours.pixels, theirs.image)
        assert torch.equal(ours.id, theirs.id)
    kept = [content for ours, _ in found for content in ours.image.encoded()]
    assert sum(content in files.values() for content in kept) == 42
    assert sum(content.startswith(b"\x89PNG") for content in kept) == 40
    assert not any((tmp_path / "raw").iterdir())


def test_a_file_that_is_turned_or_takes_more_than_its_pixels_is_made_anew() -> None:
    from io import BytesIO

    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 24), np.uint8)
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    turned, large = BytesIO(), BytesIO()
    image.getexif()[0x0112] = 8
    image.save(turned, "PNG", exif=image.getexif())
    image.save(large, "BMP")
    for file, size in ((turned, (3, 16, 24)), (large, (3, 16, 24))):
        shown = compressed.decode(file.getvalue(), size)
        anew = compressed.fitting(file.getvalue(), shown, "png")
        assert anew != file.getvalue()
        assert (compressed.decode(anew, size) == shown).all()
    grey = np.broadcast_to(pixels[:1], pixels.shape)
    one = compressed.fitting(large.getvalue(), grey, "png")
    assert len(one) < 0.6 * len(encode(pixels, "png"))
    assert (compressed.decode(one, pixels.shape) == grey).all()


# Decoding ahead


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_parts_come_in_order_however_many_decode(
    digits: Images, png: Images, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, draw = compressed.decode, np.random.default_rng(0)

    def slow(*arguments: object) -> np.ndarray:
        time.sleep(float(draw.uniform(0, 1e-3)))
        return decode(*arguments)

    monkeypatch.setattr(compressed, "decode", slow)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    parts = [*order[:300].split(50), slice(7, 40), order[:0]]
    seen = list(load(png, parts, workers))
    assert [part for part, _ in seen] == parts
    for part, some in seen:
        assert torch.equal(some.image, digits.image[part])
        assert torch.equal(some.id, digits.id[part])
    assert [len(part.id) for part in batches(png, 150, workers)] == [150, 150, 150, 50]


def test_only_a_few_parts_are_decoded_ahead(png: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, asked = [], 0

    def parts():
        nonlocal asked
        for part in torch.arange(500).split(10):
            asked += 1
            yield part

    decode = compressed.decode
    monkeypatch.setattr(compressed, "decode", lambda *a: begun.append(1) or decode(*a))
    loaded = load(png, parts(), 2)
    for step, _ in zip(range(1, 6), loaded, strict=False):
        assert asked == step + loader.AHEAD
        assert len(begun) <= 10 * asked
    loaded.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def damaged(png: Images, place: int, folder: Path) -> Images:
    files = png.image.encoded()
    files[place] = files[place][:40]
    ids = png.id + 1000
    image = Encoded(spool(files, folder), ids, png.image.size, "train.arrow")
    return png._replace(id=ids, image=image)


def test_no_bit_of_a_jpeg_file_changes_unseen(digits: Images, tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    one = digits.take(slice(7, 8))
    images.write(path, kept(one, tmp_path, "jpeg"), about(one))
    whole, (jpeg,) = path.read_bytes(), images.read(path)[0].image.encoded()
    for place in range(len(jpeg)):
        content = bytearray(whole)
        content[whole.index(jpeg) + place] ^= 1 << place % 8
        path.write_bytes(content)
        found, _ = images.read(path)
        for read in (found.image.encoded, found.decoded):
            with pytest.raises(UserError, match=r"image 7 of .* is damaged \(its checksum"):
                read()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named_and_no_thread_stays(
    png: Images, workers: int, tmp_path: Path
) -> None:
    loaded = load(damaged(png, 123, tmp_path), torch.arange(500).split(20), workers)
    parts = [next(loaded)[0] for _ in range(6)]
    assert parts[-1].tolist() == list(range(100, 120))
    with pytest.raises(UserError, match=r"image 1123 of train\.arrow is damaged \(.*prepare") as e:
        next(loaded)
    assert "\n" not in str(e.value)
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


# Training and all that looks at images


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
    from unlabel.features.parquet import Features, Split
    from unlabel.report import encoder_charts

    drawn = []
    for data in datasets.values():
        train, test = (images.read(data / f"{name}.arrow")[0] for name in ("train", "test"))
        parts = [Split(e.id, e.label, e.factor, e.pixels.flatten(1).float()) for e in (train, test)]
        found = Features(*parts, parts[1], {}, tuple("0123456789"), {})
        drawn.append(encoder_charts._neighbours(found, train, test))
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


# Memory

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
    image = Encoded(spool(files, tmp_path), every.id, size, "these")
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
