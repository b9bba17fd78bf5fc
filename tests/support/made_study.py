"""A study with claims, whose runs are made up."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from support.runs import METHODS, PROBES, declarations, write_json, write_run
from unlabel.params import claim
from unlabel.stage import study as stage

SEEDS = (0, 1, 2, 3)


GAIN = {("simclr", "64"): 0.0, ("simclr", "256"): 0.08, ("rotation", "64"): 0.01}


CLAIMS = [
    {"says": "SimCLR gains", "higher": "simclr[256]", "than": "simclr[64]", "by": 0.01},
    {
        "says": "It gains more than rotation",
        "higher": "simclr[256] - simclr[64]",
        "than": "rotation[256] - rotation[64]",
        "metric": "knn",
    },
    {"says": "Rotation does not", "same": "rotation[256]", "as": "rotation[64]", "within": 0.04},
]


class Study:
    """A study's runs on disk, and the plan's description of them."""

    def __init__(self, folder: Path, name: str = "batch_size", write: bool = True, **changes: Any):
        self.folder, self.runs, self.out = folder, folder / "runs", folder / "reports"
        self.name = name
        arms = {"64": "training.batch=64", "256": "training.batch=256"}
        self.brief: dict[str, Any] = {
            "name": name,
            "title": name.replace("_", " ").capitalize(),
            "question": "Which methods need large batches?",
            "statement": "SimCLR needs large batches; rotation does not.",
            "source": [{"title": "BYOL", "arxiv": "2006.07733", "where": "figure 3a"}, "a talk"],
            "expected": "72.5 and 59.7 on ImageNet.",
            "remark": "Few images were seen.",
            "axis": "batch size",
            "metric": "linear",
            "metrics": ["linear", "knn"],
            "stages": {"probe": True, "finetune": False, "transfer": False},
            "budget": "quick",
            "references": ["random"],
            "claims": CLAIMS,
            "declared": declarations(),
            "probes": list(PROBES),
            "methods": {name: dict(about) for name, about in METHODS.items()},
            "runs": [],
        }
        for method in ("simclr", "rotation"):
            for arm, variant in arms.items():
                for seed in SEEDS:
                    self.plan(method, seed, arm, variant, write)
        for seed in SEEDS:
            self.plan("random", seed, "base", "base", write)
        self.brief |= changes

    def plan(self, method: str, seed: int, arm: str, variant: str, write: bool = True) -> None:
        names = {"budget": "quick", "dataset": "fashion_mnist", "method": method, "seed": seed}
        names |= {"variant": variant, "arm": arm, "encoder": "resnet_mini", "epochs": 6}
        self.brief["runs"].append(names | {"batch": 64 if arm == "64" else 256})
        if write:
            folder = self.run(method, seed, variant)
            write_run(folder, method, seed)
            gain = GAIN.get((method, arm), 0.0)
            for probe in ("linear", "knn"):
                path = folder / f"metrics/{probe}.json"
                values = json.loads(path.read_text())
                noise = np.random.default_rng([seed, len(variant), len(probe)]).normal(0, 0.004)
                write_json(path, {name: value + gain + noise for name, value in values.items()})

    def run(self, method: str, seed: int, variant: str = "training.batch=64") -> Path:
        return self.runs / f"quick/fashion_mnist/{method}/{variant}/{seed}"

    def values(self, method: str, batch: int, name: str = "linear") -> np.ndarray:
        """Of the seeds, read from the files themselves."""
        folders = [self.run(method, seed, f"training.batch={batch}") for seed in SEEDS]
        return np.array(
            [json.loads((f / f"metrics/{name}.json").read_text())[name] for f in folders]
        )

    @property
    def page(self) -> Path:
        return self.out / f"study/{self.name}.html"

    def make(self) -> dict[str, Any]:
        """Run the stage; the record."""
        params = self.folder / f"{self.name}.yaml"
        params.write_text(yaml.safe_dump(frozen(self.brief), sort_keys=False))
        files = [self.page.with_suffix(end) for end in (".html", ".json", ".csv", ".md")]
        stage.run(params, self.runs, *files)
        return json.loads(files[1].read_text())


def frozen(brief: dict[str, Any]) -> dict[str, Any]:
    """As the plan writes it: with claims that are parsed."""
    claims = [claim.parse(each, brief["metric"], "a claim") for each in brief["claims"]]
    return brief | {"claims": [asdict(each) for each in claims]}
