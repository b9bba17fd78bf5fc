"""Synthetic runs in the real format, and studies of them."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from support.models import composed
from unlabel.analysis.metric import Metrics
from unlabel.stage import report
from unlabel.workflow.declared_metrics import declared, joined

METHODS: dict[str, dict[str, Any]] = {
    "random": {"title": "An untrained encoder", "family": "reference", "summary": "As it began."},
    "supervised": {"title": "All labels", "family": "reference", "summary": "Sees every label."},
    "simclr": {
        "title": "A Simple Framework for Contrastive Learning of Visual Representations",
        "arxiv": "2002.05709",
        "year": 2020,
        "family": "contrastive",
        "summary": "Two views of an image attract; views of other images repel.",
    },
    "rotation": {"arxiv": "1803.07728", "family": "pretext", "summary": "Which way is up?"},
    "autoencoder": {"title": "Reducing the Dimensionality of Data", "family": "pretext"},
}
LINEAR = {"random": 0.72, "supervised": 0.88, "simclr": 0.81, "rotation": 0.77, "autoencoder": 0.74}
SEEDS = (0, 1, 2)
SAID = ("classes bag, coat", "2 left out, hidden: <b>.png, .c.png")


@cache
def declarations() -> list[dict[str, Any]]:
    """What the methods and the probes declare, as the plan freezes it."""
    return Metrics.frozen(
        joined(declared(composed(name), ["digits", "shapes"]) for name in METHODS)
    )


PROBES = ("finetune", "knn", "linear", "lowshot", "spectrum")


class Study:
    """A study's runs on disk, which a test may break before it makes the report."""

    def __init__(self, folder: Path, seeds: tuple[int, ...] = SEEDS, write: bool = True):
        self.folder, self.runs, self.out = folder, folder / "runs", folder / "reports"
        self.params, self.prepared = folder / "report.yaml", folder / "prepared"
        self.brief: dict[str, Any] = {
            "title": "Leaderboard",
            "question": "Which method gives the best representation?",
            "statement": "",
            "source": "",
            "metric": "linear",
            "budget": "quick",
            "datasets": ["fashion_mnist"],
            "methods": {name: dict(about) for name, about in METHODS.items()},
            "declared": declarations(),
            "probes": list(PROBES),
            "runs": [],
        }
        for method in METHODS:
            for seed in seeds:
                self.plan(method, seed)
                if write:
                    write_run(self.run(method, seed), method, seed)
        write_counts(self.prepared / "fashion_mnist")

    def plan(self, method: str, seed: int, variant: str = "base", arm: str = "base") -> Path:
        """Let the report be about a run; the run's folder."""
        folder = f"quick/fashion_mnist/{method}/{variant}/{seed}"
        names = {"budget": "quick", "dataset": "fashion_mnist", "method": method, "arm": arm}
        names |= {"variant": variant, "encoder": "resnet_mini", "folder": folder}
        self.brief["runs"].append({**names, "seed": seed, "epochs": 8, "images": 5000})
        return self.runs / folder

    def run(self, method: str, seed: int = 0) -> Path:
        """Where a run is."""
        return self.runs / f"quick/fashion_mnist/{method}/base/{seed}"

    def report(self) -> str:
        """Run the stage; the page."""
        self.params.write_text(yaml.safe_dump(self.brief, sort_keys=False))
        report.run(self.params, self.runs, self.prepared, self.out)
        return (self.out / "index.html").read_text()


def write_counts(folder: Path) -> None:
    """What `prepare` reports of a dataset."""
    folder.mkdir(parents=True)
    splits = {
        "train": {"images": 5400, "unlabelled": 400, "classes": {"bag": 2000, "coat": 3000}},
        "validation": {"images": 600, "unlabelled": 0, "classes": {"bag": 300, "coat": 300}},
        "test": {"images": 1000, "unlabelled": 1000, "classes": {}},
    }
    write_json(folder / "report.json", {"summary": list(SAID), "labelled": True, "splits": splits})


def write_run(folder: Path, method: str, seed: int) -> None:
    """The files that the other stages leave in a run's folder."""
    (folder / "metrics").mkdir(parents=True)
    draw = np.random.default_rng([seed, len(method)])
    trained = method != "random"
    write_json(
        folder / "run.json",
        {
            "labels": method == "supervised",
            "seconds": 1.2 if not trained else 30 + 5 * len(method) + seed,
            "images_per_second": 1834.5 if trained else None,
            "peak_memory": 612_000_000,
            "images": 5000,
            "parameters": 78_352,
            "device": "Imaginary CPU @ 2.10GHz, 2 cores",
            "torch": "2.14.0",
            "python": "3.12.1",
            "commit": "0123456789ab",
            "precision": "float32",
        },
    )
    (folder / "params.yaml").write_text(f"seed: {seed}\nmethod: {{width: 256}}\n")
    log(method, draw, trained).to_parquet(folder / "log.parquet", index=False)
    pictures(method, draw).to_parquet(folder / "pictures.parquet", index=False)
    linear = LINEAR[method] + draw.normal(0, 0.003)
    probes = {
        "knn": {"knn": linear - 0.03, "validation_knn": linear - 0.02},
        "linear": {"linear": linear, "validation_linear": linear + 0.004},
        "lowshot": {"lowshot_1": linear - 0.1, "lowshot_10": linear - 0.04, "lowshot_1_std": 0.01},
        "finetune": {f"finetune_{n}": linear + 0.01 * len(str(n)) for n in (1, 10, 100)},
        "spectrum": {"effective_rank": 20 + draw.normal(), "alignment": 0.4, "uniformity": -2.1},
    }
    for probe, metrics in probes.items():
        write_json(folder / "metrics" / f"{probe}.json", metrics)


def log(method: str, draw: np.random.Generator, trained: bool) -> pd.DataFrame:
    """A row before training, and forty during it."""
    t = np.linspace(0, 1, 41 if trained else 1)

    def noisy(curve: np.ndarray, size: float) -> np.ndarray:
        return curve + draw.normal(0, size, len(curve))

    rows = {
        "step": (t * 152).round().astype(int),
        "epoch": 8 * t,
        "deviation": noisy(0.3 + 0.5 * (1 - np.exp(-5 * t)), 0.005),
        "effective_rank": noisy(6 + 14 * (1 - np.exp(-4 * t)), 0.3),
    }
    if trained:
        start = np.where(t == 0, np.nan, 0)
        rows["lr"] = 2e-3 * (1 + np.cos(np.pi * t)) / 2 + start
        rows["loss"] = noisy(5 - 1.5 * (1 - np.exp(-4 * t)), 0.03) + start
    if method == "simclr":
        rows["contrastive_accuracy"] = noisy(0.7 * (1 - np.exp(-4 * t)), 0.01) + start
        rows["mutual_information_bound"] = 6.2 - rows["loss"]
    if method == "rotation":
        rows["accuracy"] = noisy(0.25 + 0.5 * (1 - np.exp(-4 * t)), 0.01) + start
    return pd.DataFrame(rows)


def pictures(method: str, draw: np.random.Generator) -> pd.DataFrame:
    """Eight images for each caption; none for a method that shows nothing."""
    rows = []
    for caption in [] if method == "random" else ["image", "one view"]:
        for index in range(8):
            buffer = io.BytesIO()
            Image.fromarray(draw.integers(0, 255, (28, 28), np.uint8)).save(buffer, "PNG")
            rows.append({"caption": caption, "index": index, "png": buffer.getvalue()})
    return pd.DataFrame(rows, columns=["caption", "index", "png"])


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def compared(study: Study, arm: str) -> dict[str, float]:
    """What the report says of an arm to `dvc metrics`."""
    path = study.out / f"metrics/fashion_mnist/{arm}.json"
    return {str(name): float(value) for name, value in json.loads(path.read_text()).items()}
