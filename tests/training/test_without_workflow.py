"""Training and probes run where nothing that only the workflow needs is installed."""

import json
import subprocess
import sys
import tomllib

import yaml

from support.models import about, composed
from support.project import ROOT
from unlabel.data import images

# Refuses to load what pyproject.toml does not list for a GPU node.
ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed here")

sys.meta_path.insert(0, Missing())
from unlabel.cli import main
main(sys.argv[1:])
"""
IMPORTED = {"pillow": "PIL", "vl-convert-python": "vl_convert", "snakemake>": "snakemake"}


def missing() -> set[str]:
    """The modules of the workflow's libraries; Pillow comes with torchvision."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {line.split(">")[0].split("[")[0] for line in extra["workflow"]}
    return {IMPORTED.get(name, name.replace("-", "_")) for name in names} - {"PIL"}


def test_pretrain_features_and_probe_need_neither_snakemake_nor_dvc(digits, tmp_path):
    libraries = missing()
    assert {"snakemake", "dvc", "altair", "jinja2"} <= libraries
    splits = {}
    for name, rows in (
        ("train", slice(300)),
        ("validation", slice(300, 400)),
        ("test", slice(400, 500)),
    ):
        part = images.Images(*(each[rows] for each in digits))
        images.write(tmp_path / f"{name}.arrow", part, about(part))
        splits[f"--{name}"] = f"{name}.arrow"
    settings = {**composed("simclr"), "run": "alone"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    made = {"--encoder": "run/encoder.safetensors", "--method": "run/method.safetensors"}
    found = {"features": "run/features.parquet", "views": "run/views.parquet"}
    commands = {
        "pretrain": {"--train": "train.arrow", "--state": "state", "--out": "run"},
        "features": made | splits | {"--out": found["features"], "--views": found["views"]},
        "probe": {f"--{key}": value for key, value in found.items()} | {"--out": "metrics"},
    }
    for stage, flags in commands.items():
        words = [word for flag in ({"--params": "params.yaml"} | flags).items() for word in flag]
        code = ALONE.format(missing=libraries)
        subprocess.run([sys.executable, "-c", code, stage, *words], cwd=tmp_path, check=True)
    assert 0 < json.loads((tmp_path / "metrics/linear.json").read_text())["linear"] <= 1
