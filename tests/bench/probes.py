"""The linear and the nearest-neighbour probe against scikit-learn's, on 60,000 × 512 features."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from row import Row
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import normalize

from unlabel.probe import _regression, knn
from unlabel.probe._axes import axes

TITLE = "Probes against scikit-learn's: 60,000 × 512 features, one core"
TRAIN, TEST, DIM, CLASSES = 60_000, 4000, 512, 10
L2, K, TEMPERATURE = 1e-3, 200, 0.07
ROUNDS = 5


def drawn(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features that overlap between classes, with correlated axes of unlike lengths."""
    shape = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, DIM, generator=shape)
    mix = torch.randn(DIM, DIM, generator=shape) / DIM**0.5
    lengths = torch.logspace(0, -2, DIM)
    own = torch.Generator().manual_seed(seed)
    label = torch.randint(CLASSES, (number,), generator=own)
    x = 0.16 * centres[label] + torch.randn(number, DIM, generator=own)
    return (x * lengths) @ mix, label


def ours_linear(x, y, x_test, y_test) -> float:
    turned = axes(x)
    train, test = turned(x), turned(x_test)
    sums = _regression.class_sums(train, y, CLASSES)
    weight = _regression.fit(train, sums, L2, torch.zeros_like(sums), tolerance=1e-5)
    return _regression.accuracy(weight, test, y_test)


def theirs_linear(x, y, x_test, y_test) -> float:
    scaler = StandardScaler().fit(x.numpy())
    model = LogisticRegression(C=1 / (L2 * len(x)), max_iter=1000)
    model.fit(scaler.transform(x.numpy()), y.numpy())
    return model.score(scaler.transform(x_test.numpy()), y_test.numpy())


def ours_knn(x, y, x_test, y_test) -> float:
    return knn.KNN(K, TEMPERATURE).accuracy(x, y, x_test, y_test)


def theirs_knn(x, y, x_test, y_test) -> float:
    """Of unit vectors 1 - |a - b|² / 2 is the cosine."""
    model = KNeighborsClassifier(
        K, weights=lambda d: np.exp((1 - d**2 / 2) / TEMPERATURE), algorithm="brute"
    )
    model.fit(normalize(x, dim=1).numpy(), y.numpy())
    return model.score(normalize(x_test, dim=1).numpy(), y_test.numpy())


def grown(function: Callable[[], object]) -> float:
    """By how many MiB a call raises this process's memory at most (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
    before = held("VmRSS")
    function()
    return held("VmHWM") - before


def held(what: str) -> float:
    """A line of /proc/self/status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 2**10


def measure(rounds: int = ROUNDS) -> Iterator[Row]:
    """Time and accuracy of both, and what the neighbours need of memory beside the features."""
    torch.set_num_threads(1)
    data = (*drawn(TRAIN, 1), *drawn(TEST, 2))
    limit = data[0].nbytes / 2**20
    more = grown(lambda: ours_knn(*data))
    yield Row("kNN, memory beside the features", "the size of the features", more, limit, "MiB")
    contests = (("linear", ours_linear, theirs_linear), ("kNN", ours_knn, theirs_knn))
    for name, *functions in contests:
        seconds: list[list[float]] = [[], []]
        accuracy = [0.0, 0.0]
        for _ in range(rounds):
            for which, function in enumerate(functions):
                began = time.process_time()
                accuracy[which] = function(*data)
                seconds[which].append(time.process_time() - began)
        ours, theirs = (sorted(each)[len(each) // 2] for each in seconds)
        print(f"{name}: accuracy {accuracy}, seconds {seconds}", file=sys.stderr)
        yield Row(f"{name}, time", "scikit-learn", ours, theirs, "s", 2)
        ours, theirs = (100 * each for each in accuracy)
        yield Row(f"{name}, accuracy", "scikit-learn", ours, theirs, "% right", 1 - 0.1 / theirs)
