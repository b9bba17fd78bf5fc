"""Whatever reads a file that somebody else may have made, and what it may raise."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from fuzz import corpus, mutate
from fuzz.mutate import Mutation
from unlabel import weights
from unlabel.data import archive, image_source, images, source_state
from unlabel.data.compressed import keep_or_encode
from unlabel.data.decode import Preprocessing, Unreadable, decode, is_grey
from unlabel.dataset import _idx as idx
from unlabel.dataset import svhn
from unlabel.dataset.cifar import CIFAR10
from unlabel.dataset.huggingface import HuggingFace
from unlabel.dataset.table import Table
from unlabel.dataset.webdataset import WebDataset
from unlabel.errors import UserError
from unlabel.features import neighbours, parquet
from unlabel.params import settings, study

SHAPE = (3, 32, 32)
LIMIT = 1 << 22  # bytes of all that is in an archive


@dataclass(frozen=True)
class Target:
    """A reader of files of one format."""

    corpus: Callable[[], Sequence[bytes]]
    read: Callable[[Path], object]
    mutations: Sequence[Mutation] = (mutate.any_,)
    suffix: str = ""
    allowed: tuple[type[Exception], ...] = (UserError,)

    def content(self, name: str, number: int) -> bytes:
        """The damaged file of this number, the same each time."""
        draw = Random(f"{name} {number}")
        return draw.choice(self.mutations)(draw, draw.choice(self.corpus()))

    def refuses(self, content: bytes, folder: Path) -> bool:
        """Is this content refused as it should be? Raises all else that reading it raises."""
        path = folder / f"input{self.suffix}"
        path.write_bytes(content)
        try:
            self.read(path)
        except self.allowed as error:
            said = str(error)
            assert len(said.splitlines()) == 1, f"not one sentence: {said!r}"
            return True
        return False


def _image(path: Path) -> None:
    encoded = path.read_bytes()
    pixels = decode(encoded, SHAPE)
    assert pixels.shape == SHAPE
    is_grey(encoded)
    keep_or_encode(encoded, pixels, "jpeg")


def _archive(path: Path) -> None:
    for member in archive.members(path, LIMIT):
        name = member.name.replace("\\", "/")
        assert not posixpath.normpath(name).startswith(("/", "..")), name
        assert len(member.read()) == member.size


def _idx(path: Path) -> None:
    with_shape = idx.File((3, 28, 28), "a checksum that nothing has")
    idx._parse(path.read_bytes(), with_shape)


def _batch(path: Path) -> None:
    CIFAR10()._rows(path.read_bytes(), path)


def _table(path: Path, **columns: str | None) -> None:
    Table(path=str(path), size=8, unreadable=0.99, **columns).load(path.parent)  # type: ignore[arg-type]


def _shard(path: Path) -> None:
    WebDataset(path=str(path), size=8, unreadable=0.99).load(path.parent)


def _stream(path: Path) -> None:
    HuggingFace(path=str(path), size=8, unreadable=0.99).load(path.parent)


def _source(path: Path) -> None:
    for part in image_source.open_source(path, Preprocessing((3, 8, 8))).parts:
        assert len(part.names) == len(part.image)


def _arrow(path: Path) -> None:
    split, data = images.read(path)
    assert split.pixels.shape[1:] == data.shape


def _features(path: Path, views: bool) -> None:
    other = path.with_name("whole.parquet")
    if not other.exists():
        other.write_bytes((corpus.features_() if views else corpus.views())[0])
    parquet.read(*((other, path) if views else (path, other)))


def _embedded(path: Path) -> None:
    import torch

    neighbours.read_about(path)
    neighbours.find(path, torch.ones(2, 4), 3)


def _study(path: Path) -> None:
    params = path.parent / "params"
    if not params.exists():
        params.symlink_to(corpus.PARAMS)
    mine = path.parent / "mine"
    if not mine.exists():
        (mine / "study").mkdir(parents=True)
        for group in ("method", "dataset", "budget"):
            (mine / group).symlink_to(corpus.PARAMS / group)
    (mine / "study/fuzzed.yaml").write_bytes(path.read_bytes())
    found = study.read(mine, "fuzzed")
    found.runs(mine, "quick")
    found.metrics()


def _settings(path: Path) -> None:
    settings.check(settings.load(path).get("method") or {}, "method")


def _looked(path: Path) -> None:
    source_state.look({"path": "photos"}, path, "folder", path.parent)


TARGETS: dict[str, Target] = {
    **{
        format.lower(): Target(partial(corpus.encoded, format), _image, allowed=(Unreadable,))
        for format in corpus.SAVED
        if format != "PNG"
    },
    "png": Target(
        partial(corpus.encoded, "PNG"), _image, (mutate.any_, mutate.png), allowed=(Unreadable,)
    ),
    "tar": Target(corpus.tars, _archive, (mutate.tar, mutate.tar, mutate.whole_gzip), ".tgz"),
    "zip": Target(corpus.zips, _archive, suffix=".zip"),
    "matlab": Target(corpus.matlab, partial(svhn._images, first=0), suffix=".mat"),
    "idx": Target(corpus.idx, _idx, (mutate.any_, mutate.gzipped), allowed=(idx.Unavailable,)),
    "python_batch": Target(corpus.batches, _batch),
    "table_parquet": Target(corpus.parquets, partial(_table, split=None), suffix=".parquet"),
    "table_csv": Target(corpus.tables, _table, (mutate.any_, mutate.text), ".csv"),
    "shard": Target(corpus.shards, _shard, suffix=".tar"),
    "stream": Target(corpus.streams, _stream, suffix=".arrow"),
    "embed_parquet": Target(corpus.parquets, _source, suffix=".parquet"),
    "prepared": Target(corpus.arrows, _arrow, suffix=".arrow"),
    "weights": Target(corpus.weights, weights.read),
    "features": Target(corpus.features_, partial(_features, views=False), suffix=".parquet"),
    "views": Target(corpus.views, partial(_features, views=True), suffix=".parquet"),
    "embedded": Target(corpus.embedded, _embedded, suffix=".parquet"),
    "study": Target(corpus.studies, _study, (mutate.any_, mutate.text, mutate.text), ".yaml"),
    "settings": Target(corpus.settings, _settings, (mutate.any_, mutate.text), ".yaml"),
    "report": Target(corpus.reports, _looked, suffix=".json"),
}
