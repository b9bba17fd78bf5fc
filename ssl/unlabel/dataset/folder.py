"""A folder of your own images."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self

from unlabel.data.decode import content
from unlabel.data.image_files import find, no_images
from unlabel.data.names import as_text
from unlabel.dataset._collection import Collection
from unlabel.dataset._layout import BESIDE, read_layout
from unlabel.dataset._listing import Listing
from unlabel.dataset._outcome import Example


@dataclass(frozen=True, kw_only=True)
class Folder(Collection):
    """All images below the folder `path`, whose folders name their class and may name their split.

    ROOT/train/CLASS/1.jpg, ROOT/val/... and ROOT/test/..., or ROOT/CLASS/1.jpg. An image in no
    class's folder is unlabelled. Folders inside of a class mean nothing.
    """

    splits: Literal["auto", False] = "auto"  # false: no folder stands for a split
    labels: Literal["auto"] | bool = "auto"  # false: no folder stands for a class; true: even dates
    links: bool = False  # follow links to folders, and links out of the folder

    def alone(self) -> Listing:
        """All images, in the order of their paths. Raises `UserError` if there are none."""
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

    def unlabelled(self) -> Self:
        return replace(self, splits=False, labels=False, probe_path=None)
