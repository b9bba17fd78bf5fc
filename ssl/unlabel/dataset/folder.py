"""A folder of your own images."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from unlabel.data.decode import content
from unlabel.data.image_files import find, no_images
from unlabel.data.names import as_text
from unlabel.data.source_state import PROBE, no_probe
from unlabel.dataset._classes import classes_of
from unlabel.dataset._collection import Collection, Listing
from unlabel.dataset._decoding import Decoded
from unlabel.dataset._layout import BESIDE, read_layout
from unlabel.dataset._outcome import Example
from unlabel.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Folder(Collection):
    """All images below the folder `path`, whose folders name their class and may name their split.

    ROOT/train/CLASS/1.jpg, ROOT/val/... and ROOT/test/..., or ROOT/CLASS/1.jpg. An image in no
    class's folder is unlabelled. Folders inside of a class mean nothing.

    With `probe_path`, a folder of labelled images, all images of `path` are unlabelled and in
    train, without those that show the same pixels as an image of `probe_path`. Splits and classes
    are those of `probe_path`.
    """

    splits: Literal["auto", False] = "auto"  # false: no folder stands for a split
    labels: Literal["auto"] | bool = "auto"  # false: no folder stands for a class; true: even dates
    links: bool = False  # follow links to folders, and links out of the folder
    probe_path: str | None = None

    def listing(self) -> Listing:
        """All images, in the order of their paths.

        Raises `UserError` if there are none, or if `probe_path` tells of no classes.
        """
        if self.probe_path is None:
            return self._below()
        if not Path(self.probe_path).expanduser().exists():
            raise no_probe(self.probe_path)
        every = replace(self, splits=False, labels=False)._below()
        probe = replace(self, path=self.probe_path)._below()
        if not classes_of([each.label for each in probe.examples]).names:
            raise UserError(
                f"{self.probe_path} has no two classes, but probe_path is the labelled set; put "
                "its images in a folder for each class, or leave probe_path out"
            )
        for each in probe.examples:
            name = PROBE + each.name
            every.examples.append(each._replace(name=name, file=name))
        for why, names in probe.skipped.items():
            every.skipped.setdefault(why, []).extend(PROBE + name for name in names)
        every.remarks += [f"{PROBE} {remark}" for remark in probe.remarks]
        return every

    def copies(self, found: Decoded) -> list[str]:
        """The images of `path` that show the same pixels as one of `probe_path`."""
        every = list(zip(found.pixels, (each.name for each in found.examples), strict=True))
        probe = {pixels for pixels, name in every if name.startswith(PROBE)}
        return [name for pixels, name in every if pixels in probe and not name.startswith(PROBE)]

    def _below(self) -> Listing:
        root = self.place
        found = find(root, self.links)
        if not found.paths:
            raise no_images(root, found.skipped)
        paths = [path.relative_to(root) for path in found.paths]
        layout = read_layout(str(root), paths, self.splits, self.labels)
        examples = []
        for path, split, label in layout.images:
            name = as_text(path)
            examples.append(Example(name, split, label, partial(content, root / path), name))
        skipped = found.skipped | ({BESIDE: layout.left_out} if layout.left_out else {})
        remarks = [f"all inside {layout.inside}/"] if layout.inside else []
        return Listing(examples, skipped, remarks)
