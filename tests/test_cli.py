"""Each stage as a command: a user's mistake is one sentence, exit 1, and nothing lost."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import pytest
import torch
import yaml

from support.commands import refused
from support.models import METHODS, PARAMS, PRETRAIN, about, composed
from unlabel import cli
from unlabel.cli import FILES, entry, explained, main
from unlabel.data import images


@pytest.fixture
def folder(digits, tmp_path):
    """A prepared dataset, and settings of a small run."""
    images.write(tmp_path / "train.arrow", digits, about(digits))
    settings = composed("simclr")
    write(tmp_path, {"run": "test", **{key: settings[key] for key in PRETRAIN}})
    return tmp_path


def write(folder: Path, settings: dict) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def change(folder: Path, section: str, **values: object) -> None:
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings[section] |= values
    write(folder, settings)


def arguments(folder: Path) -> list[str]:
    flags = {"params": "params.yaml", "train": "train.arrow", "state": "state", "out": "run"}
    return ["pretrain", *(w for k, v in flags.items() for w in (f"--{k}", str(folder / v)))]


def test_a_run_is_written_whole_and_is_not_trained_again(folder, capsys):
    main(arguments(folder))
    before = (folder / "run/encoder.safetensors").read_bytes()
    assert not (folder / "state").exists()
    assert [path.name for path in folder.glob("run/.*")] == []
    main(arguments(folder))
    assert "is trained already" in capsys.readouterr().err
    assert (folder / "run/encoder.safetensors").read_bytes() == before


def test_a_collapsed_training_is_named_with_what_to_try(folder, digits, capsys):
    images.write(folder / "train.arrow", digits.take(torch.zeros(300, dtype=int)), about(digits))
    main(arguments(folder))
    said = capsys.readouterr().err
    assert "test collapsed: its features' deviation ended at 0.000, below 0.05. Try" in said


def test_a_training_that_did_not_collapse_is_not_called_so(folder, capsys):
    main(arguments(folder))
    assert "collapsed" not in capsys.readouterr().err


def test_the_methods_are_listed_with_what_they_need(capsys):
    main(["methods", "--params", str(PARAMS)])
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows.keys() == {"method", *METHODS} | {next(k for k in rows if k.startswith("─"))}
    assert re.search(r"arXiv:2003.04297 +contrastive +2 +queue +yes +no$", rows["moco"])
    assert re.search(r"arXiv:2004.11362 +contrastive +2 +batch +no +yes$", rows["supcon"])


def test_a_method_that_builds_on_another_is_listed_too(tmp_path, capsys):
    params = shutil.copytree(PARAMS, tmp_path / "params")
    mine = "# @package _global_\ndefaults: [supcon]\nmethod: {temperature: 0.3}\n"
    (params / "method/mine.yaml").write_text(mine)
    main(["methods", "--params", str(params)])
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["mine"].split()[1:] == rows["supcon"].split()[1:]
    shutil.rmtree(params / "dataset")
    said = "dataset has no recipes, but mine builds on others; add one"
    assert said in refused(capsys, "methods", "--params", str(params))


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-9", "utf-8"])
def test_a_terminal_may_have_any_encoding(encoding, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    main(["methods"])
    terminal.flush()
    said = terminal.buffer.getvalue().decode(encoding)
    assert "simclr" in said
    assert ("───" in said) == (encoding == "utf-8")


def test_no_methods_are_a_mistake(tmp_path, capsys):
    assert "has no recipes" in refused(capsys, "methods", "--params", str(tmp_path))


def test_a_run_of_other_settings_is_left_alone(folder, capsys):
    main(arguments(folder))
    before = (folder / "run/encoder.safetensors").read_bytes()
    change(folder, "optimizer", lr=0.5)
    said = refused(capsys, *arguments(folder))
    assert (
        "holds a run of other settings: settings.optimizer.lr is 0.002 there and 0.5 here" in said
    )
    assert (folder / "run/encoder.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("training", {"accumulate": 3}, "choose numbers that divide"),
        ("training", {"labels": 0.0}, "training.labels is 0.0, but must be a number above 0"),
        (
            "training",
            {"label_noise": 1.5},
            "training.label_noise is 1.5, but must be a number from 0 to 1",
        ),
        ("method", {"temperature": "hot"}, "method.temperature is 'hot', but must be a number"),
        ("method", {"temprature": 1.0}, "did you mean 'temperature'?"),
        (
            "hardware",
            {"device": "cuda:9"},
            "hardware.device is 'cuda:9', but this machine does",
        ),
        ("hardware", {"precision": "int8"}, "must be one of 'auto', 'float32', 'bfloat16'"),
        ("optimizer", {"lr": 1e30}, "the training diverged; try a lower optimizer.lr"),
    ],
)
def test_wrong_settings(folder, capsys, section, values, said):
    change(folder, section, **values)
    assert said in refused(capsys, *arguments(folder))
    assert not (folder / "run").exists()


def test_fewer_images_than_a_budget_asks_for_are_all_used(folder, capsys):
    change(folder, "training", images=501)
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    write(folder, settings | {"run": "tiny/digits/simclr/training.images=501/0"})
    assert "training.images is 501, but" in refused(capsys, *arguments(folder))
    write(folder, settings)
    main(arguments(folder))
    assert "has 500 images; all are used" in capsys.readouterr().err
    assert json.loads((folder / "run/run.json").read_text())["images"] == 500


def test_methods_that_learn_from_labels_need_some(folder, capsys, digits):
    unlabelled = digits._replace(label=digits.label * 0 - 1)
    images.write(folder / "train.arrow", unlabelled, about(digits))
    settings = composed("supervised")
    write(folder, {"run": "test", **{key: settings[key] for key in PRETRAIN}})
    assert "learns from labels, but no image of test has one" in refused(capsys, *arguments(folder))


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text"])
def test_damaged_images(folder, capsys, damage):
    file = folder / "train.arrow"
    content = {"empty": b"", "truncated": file.read_bytes()[:-2000], "text": b"hello" * 99}
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[damage])
    assert str(file) in refused(capsys, *arguments(folder))


def test_no_command_has_the_name_of_a_stage():
    folders = [Path(cli.__file__).parent / package for package in cli.PACKAGES]
    assert len(FILES) == sum(len([*folder.glob("[!_]*.py")]) for folder in folders)


def test_an_unknown_command(capsys):
    assert "unknown command 'pretrian'; did you mean 'pretrain'?" in refused(capsys, "pretrian")
    main([])
    assert "pretrain" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runs", "x"], "unlabel embed does not take '--runs'; did you mean '--run'?"),
        (["--runs=x"], "unlabel embed does not take '--runs'; did you mean '--run'?"),
        (["--run", "x", "--images", "y", "--out", "z", "w"], "unlabel embed does not take 'w'; "),
        (["--run", "x"], "the following arguments are required: --images, --out; see unlabel "),
        (["--run"], "argument --run: expected one argument; see unlabel embed --help"),
    ],
)
def test_wrong_flags(capsys, words, said):
    assert said in refused(capsys, "embed", *words)


def test_each_command_has_a_line_of_help(capsys):
    main(["--help"])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    told = dict(line for line in lines if len(line) == 2 and line[0] in FILES)
    assert told.keys() == set(FILES)
    assert all(len(text) > 15 and text[0].isupper() for text in told.values())
    assert len(set(told.values())) == len(FILES)


@pytest.mark.parametrize("command", FILES)
def test_each_flag_has_a_line_of_help(capsys, command):
    run = entry(command)
    description, flags = explained(run)
    assert flags.keys() == signature(run).parameters.keys()
    assert all(len(text) > 10 for text in flags.values())
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert not stopped.value.code
    said = " ".join(capsys.readouterr().out.split())
    for text in (description, *flags.values()):
        assert " ".join(text.split()) in said
    assert "UserError" not in said
    assert "Args" not in said


def test_ended_politely_it_saves_its_state_and_goes_on_to_the_same_bits(folder):
    """SIGTERM is what a cluster sends before it takes a node away."""
    change(folder, "training", epochs=60)
    main(arguments(folder))
    expected = (folder / "run").rename(folder / "whole") / "encoder.safetensors"

    words = [sys.executable, "-m", "unlabel", *arguments(folder)]
    hurried = {**os.environ, "UNLABEL_CHECKPOINT_SECONDS": "0.1"}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=hurried)
    until = time.monotonic() + 60
    while not (folder / "state/state.safetensors").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "start again to go on from there" in said

    main(arguments(folder))
    assert (folder / "run/encoder.safetensors").read_bytes() == expected.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_no_space_left_loses_nothing(folder, capsys, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        words = [w.replace(str(folder / "run"), str(small / "run")) for w in arguments(folder)]
        assert "No space left" in refused(capsys, *words)
        files = [path for path in small.rglob("*") if path.is_file()]
        assert all(path.suffix in (".yaml", ".safetensors") for path in files)
        assert not any("part" in path.name for path in files)
        main(arguments(folder))  # with room it ends well
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["later", "at once"])
@pytest.mark.parametrize("words", [["--help"], ["runs"]], ids=str)
def test_a_command_ends_quietly_when_nobody_reads_on(words, unbuffered, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reader, writer = os.pipe()
    os.close(reader)
    (tmp_path / "params").symlink_to(PARAMS)
    command = [sys.executable, "-m", "unlabel", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
