"""The steps of other libraries, as their documentation writes them."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models import modules
from lightly.models.utils import (
    batch_shuffle,
    batch_unshuffle,
    deactivate_requires_grad,
    update_momentum,
)
from lightly.transforms import BYOLTransform, SimCLRTransform
from lightly.transforms.byol_transform import BYOLView1Transform, BYOLView2Transform
from lightly.transforms.simclr_transform import SimCLRViewTransform
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms.functional import to_pil_image

from unlabel.data.images import Images
from unlabel.encoder import Encoder
from unlabel.hardware import Hardware
from unlabel.params.settings import build

VIEW = {"min_scale": 0.2, "gaussian_blur": 0.0, "normalize": None}  # the encoder normalises
WIDTH, DIM = 256, 128  # as our recipes at the budget quick


class Pictures(Dataset):
    """PIL images, transformed when they are asked for."""

    def __init__(self, images: Images, transform):
        self.images, self.transform = [to_pil_image(each) for each in images.image], transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int):
        return self.transform(self.images[at])


class Lightly:
    """A method's step with lightly's transforms, heads and loss, on our encoder and optimizer."""

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        images: Images,
        settings: dict,
        hardware: Hardware,
        batch: int,
    ):
        self.hardware, self.batch = hardware, batch
        size = images.image.shape[2]
        self.module: nn.Module = MODULES[name](encoder, settings)
        hardware.move(self.module)
        self.module.train()
        self.optimizer = build(settings["optimizer"], module=self.module)
        self.dataset = Pictures(images, transform(name, size))

    @contextmanager
    def loading(self, workers: int) -> Iterator[None]:
        """Load batches without end, with so many worker processes."""
        sampler = RandomSampler(self.dataset, replacement=True, num_samples=10**9)
        loader = DataLoader(self.dataset, self.batch, sampler=sampler, num_workers=workers)
        self.batches = iter(loader)
        yield
        del self.batches

    def step(self) -> None:
        views = next(self.batches)
        views = views if isinstance(views, list) else [views]
        with self.hardware.autocast():
            loss = self.module([view.to(self.hardware.device) for view in views])
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def transform(name: str, size: int):
    """lightly's own for the method, with the settings of our recipes."""
    jitter = {"cj_bright": 0.4, "cj_contrast": 0.4, "cj_hue": 0.1, "cj_strength": 1.0}
    if name == "byol":
        views = {"input_size": size, "cj_sat": 0.2, **jitter, **VIEW}
        return BYOLTransform(BYOLView1Transform(**views), BYOLView2Transform(**views))
    if name == "rotation":
        whole = VIEW | {"min_scale": 0.6, "cj_prob": 0.0, "random_gray_scale": 0.0}
        return SimCLRViewTransform(input_size=size, **whole)
    return SimCLRTransform(input_size=size, cj_sat=0.4, **jitter, **VIEW)


class SimCLR(nn.Module):
    def __init__(self, encoder: Encoder, settings: dict):
        super().__init__()
        self.backbone = encoder
        self.projection_head = modules.SimCLRProjectionHead(encoder.dim, WIDTH, DIM)
        self.criterion = NTXentLoss(temperature=0.2)

    def forward(self, views: list[Tensor]) -> Tensor:
        z0, z1 = (self.projection_head(self.backbone(view)) for view in views)
        return self.criterion(z0, z1)


class MoCo(nn.Module):
    def __init__(self, encoder: Encoder, settings: dict):
        super().__init__()
        self.query = nn.Sequential(encoder, modules.MoCoProjectionHead(encoder.dim, WIDTH, DIM))
        self.key = copy.deepcopy(self.query)
        deactivate_requires_grad(self.key)
        queue = settings["method"]["queue"]
        self.criterion = NTXentLoss(temperature=0.1, memory_bank_size=(queue, DIM))

    def forward(self, views: list[Tensor]) -> Tensor:
        update_momentum(self.query, self.key, m=0.99)
        query = self.query(views[0])
        with torch.no_grad():
            key, order = batch_shuffle(views[1])
            key = batch_unshuffle(self.key(key), order)
        return self.criterion(query, key)


class BYOL(nn.Module):
    def __init__(self, encoder: Encoder, settings: dict):
        super().__init__()
        self.online = nn.Sequential(encoder, modules.BYOLProjectionHead(encoder.dim, WIDTH, DIM))
        self.predict = modules.BYOLPredictionHead(DIM, WIDTH, DIM)
        self.target = copy.deepcopy(self.online)
        deactivate_requires_grad(self.target)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, views: list[Tensor]) -> Tensor:
        update_momentum(self.online, self.target, m=0.95)
        p0, p1 = (self.predict(self.online(view)) for view in views)
        with torch.no_grad():
            z0, z1 = (self.target(view) for view in views)
        return (self.criterion(p0, z1) + self.criterion(p1, z0)) / 2


class Rotation(nn.Module):
    """lightly has no such method: its transform and loader, and all four turns of each batch."""

    def __init__(self, encoder: Encoder, settings: dict):
        super().__init__()
        self.encoder, self.classify = encoder, nn.Linear(encoder.dim, 4)

    def forward(self, views: list[Tensor]) -> Tensor:
        x = torch.cat([views[0].rot90(turn, (2, 3)) for turn in range(4)])
        turns = torch.arange(4, device=x.device).repeat_interleave(len(views[0]))
        return nn.functional.cross_entropy(self.classify(self.encoder(x)), turns)


MODULES = {"simclr": SimCLR, "moco": MoCo, "byol": BYOL, "rotation": Rotation}
