"""Losses and their gradients against lightly's, on the same tensors in float64.

lightly is no dependency: `make .venv/bench` installs it aside. `pytest -s` prints the table, which
is kept in reports/conformance.md. Not compared, as lightly's differ by definition (the recipes say
how): NNCLR, VICRegL, MAE with normalised pixels.
"""

import math
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.project import ROOT
from unlabel.method import dinov2, emp_ssl, lejepa, mmcr, msn, tico, w_mse
from unlabel.method.barlow import barlow_twins
from unlabel.method.byol import regression
from unlabel.method.simclr import nt_xent
from unlabel.method.simsiam import distance
from unlabel.method.vicreg import covariance, variance
from unlabel.nn.losses import cosine_similarities, cross_prediction, info_nce, sinkhorn

LIGHTLY = ROOT / ".venv/bench"
SIZE = (64, 32)  # embeddings, and their length
# lightly adds its small number inside the root (Barlow Twins), and has weights in float32 (SIGReg).
ROUNDED = 1e-5
Loss = Callable[..., Tensor]


class Pair(NamedTuple):
    """A loss, ours and theirs, of the same inputs."""

    ours: Loss
    theirs: Loss
    inputs: tuple[Tensor, ...]
    within: float = 1e-12  # of the larger of 1 and the loss


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All in float64, and what asks for float32 keeps it."""
    plain = Tensor.float
    monkeypatch.setattr(Tensor, "float", lambda x: x if x.dtype == torch.float64 else plain(x))
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def lightly(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loss]:
    """A loss of lightly by its module and class."""
    if not (LIGHTLY / "lightly").is_dir():
        pytest.skip("needs lightly: make .venv/bench")
    monkeypatch.setattr(sys, "path", [*sys.path, str(LIGHTLY)])
    monkeypatch.setenv("LIGHTLY_DID_VERSION_CHECK", "True")  # or it asks its server

    def named(module: str, name: str, *given: object, **settings: object) -> Loss:
        found = getattr(import_module(f"lightly.loss.{module}"), name)
        return found(*given, **settings).double() if isinstance(found, type) else found

    return named


class Drawn(NamedTuple):
    """What the losses are of, drawn at random."""

    a: Tensor
    b: Tensor
    queue: Tensor
    prototypes: Tensor
    views: Tensor  # (4, *SIZE)
    directions: Tensor


def drawn() -> Drawn:
    g = torch.Generator().manual_seed(0)
    a, b, queue, prototypes = (torch.randn(*SIZE, generator=g) for _ in range(4))
    views = torch.randn(4, *SIZE, generator=g)
    directions = F.normalize(torch.randn(SIZE[1], 16, generator=g), dim=0)
    return Drawn(a, b, queue, prototypes, views, directions)


def pairs(named: Callable[..., Loss]) -> dict[str, Pair]:
    groups = (of_two_views, of_statistics, of_prototypes, of_many_views)
    return {name: pair for group in groups for name, pair in group(named, drawn()).items()}


def of_two_views(named: Callable[..., Loss], of: Drawn) -> dict[str, Pair]:
    """Losses that compare the vectors of two views, some with those of other images."""
    a, b = of.a, of.b
    bank = named("ntx_ent_loss", "NTXentLoss", temperature=0.1, memory_bank_size=SIZE)
    bank.memory_bank.bank = F.normalize(of.queue, dim=1)
    bank.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.long)
    cosine = named("negative_cosine_similarity", "NegativeCosineSimilarity")

    def simclr(a: Tensor, b: Tensor) -> Tensor:
        return F.cross_entropy(*nt_xent(torch.cat([a, b]), 0.2))

    def moco(a: Tensor) -> Tensor:
        return F.cross_entropy(*info_nce(a, b, 0.1, of.queue))

    return {
        "simclr": Pair(simclr, named("ntx_ent_loss", "NTXentLoss", temperature=0.2), (a, b)),
        "moco": Pair(moco, lambda a: bank(a, b), (a,)),
        "byol": Pair(lambda a: regression(a, b), lambda a: 2 + 2 * cosine(a, b), (a,)),
        "simsiam": Pair(lambda a: distance(a, b), lambda a: cosine(a, b), (a,)),
    }


def of_statistics(named: Callable[..., Loss], of: Drawn) -> dict[str, Pair]:
    """Losses with the covariance, the singular values or the distances of a batch."""
    a, b = of.a, of.b
    theirs_mmcr = named("mmcr_loss", "MMCRLoss")

    def barlow(a: Tensor, b: Tensor) -> Tensor:
        invariance, redundancy = barlow_twins(a, b)
        return invariance + 0.005 * redundancy

    def vicreg(a: Tensor, b: Tensor) -> Tensor:
        spread = variance(a) + variance(b)
        return 25 * F.mse_loss(a, b) + 25 * spread + covariance(a) + covariance(b)

    def tico_(a: Tensor, b: Tensor) -> Tensor:
        z, z_ = F.normalize(a, dim=1), F.normalize(b, dim=1)
        now = tico.second_moments(z)
        return 1 - (z * z_).sum(1).mean() + 8 * (0.1 * now.detach() * now).sum()

    def mmcr_(a: Tensor, b: Tensor) -> Tensor:
        z = torch.stack([a, b], 1)
        return 0.005 * mmcr.nuclear_norm(z).mean() - mmcr.nuclear_norm(z.mean(1))

    def whitened(a: Tensor, b: Tensor) -> Tensor:
        return regression(w_mse.whiten(a, 1e-15), w_mse.whiten(b, 1e-15))

    def their_whitened(a: Tensor, b: Tensor) -> Tensor:
        return named("wmse_loss", "WMSELoss", embedding_dim=32, w_size=64)(torch.cat([a, b]))

    return {
        "barlow": Pair(barlow, named("barlow_twins_loss", "BarlowTwinsLoss"), (a, b), ROUNDED),
        "vicreg": Pair(vicreg, named("vicreg_loss", "VICRegLoss", mu_param=50.0), (a, b)),
        "dinov2 (KoLeo)": Pair(dinov2.koleo, named("koleo_loss", "KoLeoLoss"), (a,)),
        "tico": Pair(tico_, named("tico_loss", "TiCoLoss"), (a, b)),
        "mmcr": Pair(mmcr_, lambda a, b: theirs_mmcr(a[:, None], b[:, None]), (a, b)),
        "w_mse": Pair(whitened, their_whitened, (a, b)),
    }


def of_prototypes(named: Callable[..., Loss], of: Drawn) -> dict[str, Pair]:
    """Losses of similarities with prototypes."""
    a, b, prototypes = of.a, of.b, of.prototypes
    theirs_swav = named("swav_loss", "SwaVLoss")
    theirs_dino = named("dino_loss", "DINOLoss", SIZE[1])
    theirs_ibot = named("ibot_loss", "IBOTPatchLoss", SIZE[1])
    theirs_msn = named("msn_loss", "MSNLoss")

    def swav(a: Tensor, b: Tensor) -> Tensor:
        scores = [F.normalize(a, dim=1), F.normalize(b, dim=1)]
        codes = [sinkhorn(each, 0.05, 3) for each in scores]
        return cross_prediction([each / 0.1 for each in scores], codes)

    def their_swav(a: Tensor, b: Tensor) -> Tensor:
        return theirs_swav([F.normalize(a, dim=1), F.normalize(b, dim=1)], [])

    def dino(a: Tensor, b: Tensor) -> Tensor:
        shares = [(each.detach() / 0.04).softmax(1) for each in (a, b)]
        return cross_prediction([a / 0.1, b / 0.1], shares)

    def their_dino(a: Tensor, b: Tensor) -> Tensor:
        return theirs_dino([a.detach(), b.detach()], [a, b])

    def ibot(a: Tensor) -> Tensor:
        return F.cross_entropy(a / 0.1, (b / 0.04).softmax(1))

    def their_ibot(a: Tensor) -> Tensor:
        return theirs_ibot(b, a, torch.ones(8, 2, 4, dtype=torch.bool))

    def msn_(a: Tensor, b: Tensor) -> Tensor:
        target = msn.targets(cosine_similarities(b, prototypes), 0.025, 3)
        logits = cosine_similarities(a, prototypes) / 0.1
        mean = logits.softmax(1).mean(0)
        entropy = -torch.special.xlogy(mean, mean).sum()
        return F.cross_entropy(logits, target.detach()) + math.log(len(mean)) - entropy

    return {
        "swav": Pair(swav, their_swav, (a, b)),
        "dino": Pair(dino, their_dino, (a, b)),
        "ibot": Pair(ibot, their_ibot, (a,)),
        "msn": Pair(msn_, lambda a, b: theirs_msn(a, b, prototypes), (a, b)),
    }


def of_many_views(named: Callable[..., Loss], of: Drawn) -> dict[str, Pair]:
    """Losses of any number of views."""
    gauss = named("lejepa_loss", "SIGReg", num_vectors=16)
    gauss._generate_unit_vectors = lambda *_, **__: of.directions

    def patches(z: Tensor) -> Tensor:
        z = F.normalize(z, dim=2)
        likeness = F.cosine_similarity(z, z.mean(0, keepdim=True), dim=2).mean()
        return -200 * likeness - emp_ssl.coding_rate(z, 0.2).mean()

    def their_patches(z: Tensor) -> Tensor:
        z, theirs = F.normalize(z, dim=2), import_module("lightly.loss.emp_ssl_loss")
        return 200 * theirs.invariance_loss(z) - theirs.tcr_loss(z, 0.2)

    def spread(z: Tensor) -> Tensor:
        return lejepa.sigreg(z, of.directions, 17, 3.0)

    return {
        "emp_ssl": Pair(patches, their_patches, (of.views,)),
        "lejepa (SIGReg)": Pair(spread, gauss, (of.views,), ROUNDED),
    }


def test_losses_and_gradients_are_lightlys(
    lightly: Callable[..., Loss], double: None, hardware: object
) -> None:
    print("\n| loss | value | difference | largest gradient | difference |\n|---|---|---|---|---|")
    wrong = []
    for name, pair in pairs(lightly).items():
        (loss, slope), (loss_, slope_) = (results(f, pair.inputs) for f in pair[:2])
        off, off_slope = abs(loss - loss_), float((slope - slope_).abs().max())
        size = float(slope_.abs().max())
        print(f"| {name} | {loss:.6g} | {off:.0e} | {size:.2g} | {off_slope:.0e} |")
        if off > pair.within * max(1, abs(loss_)) or off_slope > pair.within * max(1, size):
            wrong.append(name)
    assert not wrong


def results(loss: Loss, inputs: tuple[Tensor, ...]) -> tuple[float, Tensor]:
    """A loss, and its gradients joined."""
    inputs = tuple(each.clone().requires_grad_() for each in inputs)
    found = loss(*inputs)
    found.backward()
    slopes = [torch.zeros_like(x) if x.grad is None else x.grad for x in inputs]
    return float(found.detach()), torch.cat([slope.flatten() for slope in slopes])
