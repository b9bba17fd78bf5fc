"""Where your own images are: in one place, or in two, of which one is labelled."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from unlabel.data.source_state import PROBE, is_there, no_probe
from unlabel.dataset import Dataset
from unlabel.dataset._listing import Listing
from unlabel.dataset._outcome import Example
from unlabel.errors import UserError
from unlabel.files import sha256


@dataclass(frozen=True, kw_only=True)
class Source(Dataset):
    """The images of `path`.

    With `probe_path`, a labelled set of the same kind, all images of `path` are unlabelled and in
    train, without those that show the same pixels as an image of `probe_path`. Splits and classes
    are those of `probe_path`.
    """

    path: str | None = None
    probe_path: str | None = None

    @property
    def place(self) -> Path:
        """The file or folder that `path` names. Raises `UserError` if it does not exist."""
        place = Path(self.written).expanduser()
        if not place.exists():
            raise UserError(f"{place} does not exist; say where your images are, as in path=FOLDER")
        return place

    @property
    def written(self) -> str:
        """The `path` as it was written. Raises `UserError` if there is none."""
        if not self.path:
            raise UserError("the dataset has no path; say where your images are, as in path=FOLDER")
        return self.path

    def alone(self) -> Listing:
        """All images of `path`. Raises `UserError` if there are none, or it is unclear."""
        raise NotImplementedError

    def unlabelled(self) -> Self:
        """The same images, in no split and no class."""
        raise NotImplementedError

    def index(self) -> list[tuple[str, Path]]:
        """The names and paths of the files of `path` that list or hold many images."""
        return []

    def listing(self) -> Listing:
        """All images, those of `probe_path` last.

        Raises `UserError` as `alone` does, or if `probe_path` tells of no classes.
        """
        if self.probe_path is None:
            return self.alone()
        return self.unlabelled().alone().beside(self._probe().alone(), self.probe_path)

    def examples(self) -> list[Example]:
        """All images. Raises `UserError` as `listing` does."""
        return self.listing().examples

    def _probe(self) -> Self:
        if not is_there(str(self.probe_path)):
            raise no_probe(str(self.probe_path))
        return replace(self, path=self.probe_path, probe_path=None)

    def checksums(self) -> dict[str, str]:
        """The sha256 of each file that lists or holds many images."""
        files = self.index()
        if self.probe_path is not None:
            files = [*files, *((PROBE + name, file) for name, file in self._probe().index())]
        return {name: sha256(file) for name, file in files}
