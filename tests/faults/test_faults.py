"""Damage, wrong clocks, power cuts, full disks and short memory: the quick part of tests/faults."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from support.models import about
from support.once import once
from support.project import ROOT, STAND_IN, command, forked, planned, snakemake
from support.versions import replace
from unlabel import files
from unlabel.data import images
from unlabel.data.compressed import CompressedImages, encode, spool
from unlabel.data.images import Images
from unlabel.errors import UserError, of_machine
from unlabel.features import parquet
from unlabel.features.split import ALL, SPLITS, Split, Views
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS
from unlabel.workflow.freeze import digest, without_code

RUN = "data/runs/tiny/digits/rotation/base/0"


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        (f"{RUN}/encoder.safetensors", "pretrain_rotation"),
        (f"{RUN}/features.parquet", "features"),
        (f"{RUN}/metrics/knn.json", "probe"),
        ("data/prepared/digits/train.arrow", "prepare"),
    ],
)
def test_an_output_that_was_changed_is_made_again_and_not_read(copy, file, rule):
    flip(copy / file, (copy / file).stat().st_size // 2)
    said = snakemake(copy, "-n", "--quiet", "rules")
    assert f"{file} was changed after it was made" in said
    assert re.search(rf"^{rule} +1$", said, re.MULTILINE)


def test_what_was_only_touched_is_not_made_again(copy):
    for path in (copy / "data").rglob("*.json"):
        path.touch()
    assert planned(copy) == {}


def test_outputs_from_the_future_are_set_back(copy):
    tomorrow = time.time() + 86400
    for path in (copy / "data").rglob("*.*"):
        os.utime(path, (tomorrow, tomorrow))
    assert planned(copy) == {}
    assert "Nothing to be done" in snakemake(copy, "--cores", "1")
    assert max(path.stat().st_mtime for path in (copy / "data").rglob("*.*")) < time.time()


@pytest.mark.parametrize("content", [b"", b'{"rule": "\xff"}'])
def test_what_a_damaged_record_is_of_is_made_again(copy, content):
    target = f"{RUN}/features.parquet"
    (copy / records.place(RECORDS, target)).write_bytes(content)
    said = snakemake(copy, "-n")
    assert f"the record of {target} is damaged" in said
    assert "Traceback" not in said


def test_a_damaged_plan_is_made_anew(copy):
    kept = {path: path.read_bytes() for path in (copy / files.FROZEN).glob("*-*.*")}
    assert any(path.suffix == ".txt" for path in kept)  # fingerprints
    frozen = {path: path.read_bytes() for path in (copy / files.FROZEN).glob("*.yaml")}
    for damaged in (kept, frozen):
        for path in damaged:
            flip(path, path.stat().st_size // 2)
        assert planned(copy) == {}
    assert {path: path.read_bytes() for path in frozen} == frozen
    (cache,) = (copy / files.FROZEN).glob("cache-*.json")
    text = cache.read_bytes()
    assert without_code(json.loads(text)) == without_code(json.loads(kept[cache]))
    # jobs read the one that is named by its content; those of earlier calls are read by nobody
    assert (copy / files.FROZEN / f"plan-{digest(text)}.json").read_bytes() == text


def jpeg(some: Images, folder: Path) -> Images:
    files = spool((encode(pixels, "jpeg") for pixels in some.image.numpy()), folder)
    return some._replace(image=CompressedImages(files, some.id, about(some).shape, "these"))


def test_no_bit_of_features_or_images_changes_unseen(digits, tmp_path):
    rng, few = random.Random(0), digits.take(slice(60))
    parts = [
        (name, Split(few.id[k::3], few.label[k::3] % 2, few.factor[k::3], torch.rand(20, 8)))
        for k, name in enumerate(SPLITS)
    ]
    pairs = [(ALL, Views(few.id[:9], torch.rand(9, 8), torch.rand(9, 8)))]
    names = ("h.parquet", "v.parquet", "i.arrow", "j.arrow")
    file, views, arrow, encoded = (tmp_path / name for name in names)
    parquet.write(file, parts, ("0", "1"), {})
    parquet.write_views(views, pairs, [ALL])
    images.write(arrow, few, about(few))
    images.write(encoded, jpeg(few, tmp_path), about(few))

    def content() -> list:
        found = parquet.read(file, views)
        splits = [x for split in (found.train, found.validation, found.test) for x in split]
        sets = [x for path in (arrow, encoded) for x in images.read(path)[0].decoded()]
        return [x for x in (*splits, *found.views[ALL], *sets) if x is not None]

    good = content()
    for path in (file, views, arrow, encoded):
        whole = path.read_bytes()
        for place in rng.sample(range(len(whole)), 150):
            flip(path, place)
            try:
                found = content()
            except UserError as error:
                assert str(path) in str(error)  # noqa: PT017
            else:  # a byte that nothing depends on
                assert all(map(torch.equal, found, good))
            path.write_bytes(whole)


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to tell what is synced")
def test_content_then_name_then_folders_reach_the_disk(tmp_path, monkeypatch):
    calls = []
    sync, rename = os.fsync, os.replace

    def record_sync(descriptor: int) -> None:
        calls.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        sync(descriptor)

    def record_rename(source, target, **more) -> None:
        calls.append(("rename", str(target)))
        rename(source, target, **more)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_rename)
    monkeypatch.chdir(tmp_path)
    with files.whole(Path("a/b/file.txt")) as part:
        part.write_text("content")
        name = str(tmp_path / part)
    expected = [("sync", name), ("rename", "a/b/file.txt"), ("sync", str(tmp_path / "a/b"))]
    above = [("sync", str(tmp_path / "a")), ("sync", str(tmp_path))]
    assert calls == expected + above


@pytest.fixture
def disk(tmp_path):
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs to be root, to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_named_though_the_log_is_on_it(disk):
    (disk / "full").write_bytes(bytes(1 << 20 - 1))
    (disk / "params.yaml").write_text(
        "name: digits\ndataset: {_target_: unlabel.dataset.digits.Digits}\n"
    )
    flags = ("params.yaml", "raw", "train.arrow", "validation.arrow", "test.arrow")
    words = [w for flag in flags for w in (f"--{Path(flag).stem}", str(disk / flag))]
    paths = {"PYTHONPATH": str(ROOT / "ssl")}
    with (disk / "log").open("w") as log, (disk / "rest").open("wb", buffering=0) as rest:
        while rest_of(rest):
            pass
        done = subprocess.run(
            [sys.executable, "-m", "unlabel", "prepare", *words],
            env=os.environ | paths,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert done.returncode == 1
    assert done.stdout.startswith(f"error: cannot write at {disk}/train.arrow: No space left")


def rest_of(file) -> int:
    try:
        return file.write(bytes(1 << 10))
    except OSError:
        return 0


def test_short_memory_is_one_sentence_and_other_errors_are_not():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert of_machine(refused.value).startswith("memory is short (")
    assert "--cores 1" in of_machine(MemoryError())
    with pytest.raises(RuntimeError) as wrong:
        torch.empty(2, 3) @ torch.empty(2, 3)
    assert of_machine(wrong.value) == ""


def test_a_second_snakemake_is_told_of_the_first(copy):
    stage = copy / "ssl/unlabel/stage/probe.py"
    waits = "import time\n    while not Path('go').exists():\n        time.sleep(0.05)\n    "
    replace(stage, "settings = load(params)", f"{waits}settings = load(params)")
    words = ("--cores", "1", f"{RUN}/metrics/knn.json")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen(command(*words), cwd=copy, env=forked(**STAND_IN), **quiet)
    while not list((copy / ".snakemake/locks").glob("*.lock")):
        assert first.poll() is None
        time.sleep(0.05)
    said = snakemake(copy, *words, fails=True)
    assert "LockException" in said  # in Snakemake's own words
    assert "Traceback" not in said
    (copy / "go").touch()
    assert first.wait() == 0


@pytest.fixture(scope="module")
def kinds():
    """Kinds of faults import each other by their bare names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield


@pytest.fixture(scope="module")
def clean(kinds, tmp_path_factory):
    """A small project that was built once, and a folder where trials take place."""
    from smallest import Clean

    built = once(tmp_path_factory, "histories", Clean)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNLABEL_FAULTS", str(tmp_path_factory.mktemp("histories")))
        yield Clean(built)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_random_history_ends_in_the_bits_of_a_clean_build(clean, tmp_path, seed):
    """More of them, which end in other versions: `make faults ONLY=histories`."""
    from histories import History
    from smallest import unlike

    history = History(clean.start(tmp_path / "history", seed), seed)
    for _ in range(4):
        history.step()
    history.put_back()
    wrong = history.wrong + unlike(history.folder, clean.bits(history.version))
    assert wrong == [], history.steps


def test_killed_in_a_second_build_it_ends_with_the_same_bits(clean, tmp_path):
    """And so does the third, in which the recipe is what it was."""
    from processes import of
    from second import change
    from smallest import FIRST, served, unlike
    from trial import start

    folder = clean.start(tmp_path / "killed", 1)
    change(folder)
    for stage in ("pretrain", "features", "probe"):
        running = start(folder, "all", **served())
        while not any(each.stage == stage for each in of(folder)):
            assert running.poll() is None, stage
            time.sleep(0.01)
        running.kill()
        running.wait()
    change(folder)
    assert unlike(folder, clean.bits(FIRST)) == []
