"""A folder of your own images."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unlabel.data.decode import EXTENSIONS, content, find
from unlabel.dataset._collection import SPLIT, Collection, Example, few, text
from unlabel.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Folder(Collection):
    """All images below the folder `path`, whose folders say their class, and may say their split.

    ROOT/train/CLASS/1.jpg, ROOT/val/... and ROOT/test/..., or ROOT/CLASS/1.jpg; what lies in no
    class's folder is unlabelled. Below a class all folders are the same.
    """

    def examples(self) -> list[Example]:
        """In the order of their paths. Raises `UserError` if there are no images."""
        root = self.place
        paths = [path.relative_to(root) for path in find(root)]
        if not paths:
            raise UserError(
                f"{root} has no images: no file of it ends in {', '.join(sorted(EXTENSIONS))} "
                "(hidden files and links that lead out of it do not count)"
            )
        return list(_placed(root, paths))


def _placed(root: Path, paths: list[Path]) -> Iterator[Example]:
    split = _splits(root, paths)
    for path in paths:
        first, *rest = path.parts
        below = rest if split else path.parts
        label = text(below[0]) if len(below) > 1 else None
        yield Example(text(path), split.get(first, ""), label, partial(content, root / path))


def _splits(root: Path, paths: list[Path]) -> dict[str, str]:
    """The split that each folder of `root` stands for; of none, where they are classes.

    Raises `UserError` if some are splits and others are not.
    """
    folders = sorted({path.parts[0] for path in paths if len(path.parts) > 1})
    split = {name: SPLIT[name.lower()] for name in folders if name.lower() in SPLIT}
    others = [name for name in folders if name not in split]
    others += [path.name for path in paths if len(path.parts) == 1]
    if not others and "train" in split.values():
        return split
    if len(set(split.values())) > 1:
        also = f"beside {text(few(others))}" if others else "but none to train on"
        raise UserError(
            f"{root} has folders for splits ({', '.join(split)}) {also}; "
            "have train, val and test there and nothing else, or only classes"
        )
    return {}
