"""The plan that the next call finds again, if recipes and code are still those it was made from."""

from dataclasses import dataclass
from pathlib import Path

from unlabel import files
from unlabel.errors import UserError
from unlabel.fingerprint import fingerprint
from unlabel.fingerprint.reach import PACKAGE
from unlabel.params.command_line import ChosenDataset
from unlabel.workflow.freeze import digest

# The packages whose classes recipes name, and that say what images there are, what works with them
# and what will be measured. No import leads to their modules.
DECLARING = ("augment", "dataset", "encoder", "method", "probe", "training")
States = dict[Path, tuple[int, int, int, int]]  # which file has a name, its size and its times


@dataclass(frozen=True)
class KeptPlan:
    """The file of a plan, named by its recipes and code before the plan reads them."""

    params: Path
    path: Path
    states: States

    @classmethod
    def of(cls, params: Path, frozen: Path, chosen: ChosenDataset) -> "KeptPlan":
        """The plan of just these recipes, checked by just this code.

        Raises `UserError` for a recipe that is no file.
        """
        for path in params.rglob("[!.]*.yaml"):
            if not path.is_file():  # a folder, or a link that leads nowhere
                raise UserError(f"{path} is no file; remove it, or give it another name")
        states = _states(params)
        # by their places in the project, which may be moved or copied
        places = {p: p.relative_to(params if params in p.parents else PACKAGE) for p in states}
        texts = [b"%b %b\n" % (bytes(at), path.read_bytes()) for path, at in places.items()]
        name = b"".join([*texts, f"{chosen!r}{fingerprint('unlabel.workflow.plan')}".encode()])
        return cls(params, frozen / f"cache-{digest(name)}.json", states)

    def read(self) -> bytes:
        """The plan as JSON, without an entry if there is none."""
        return self.path.read_bytes() if self.path.exists() else b"{}"

    def write(self, text: str) -> None:
        """Keep the plan, unless a file was edited while it was made: it may have read either text.

        The content alone would not tell, as an edit may have been taken back.
        """
        if _states(self.params) == self.states:
            files.write_text(self.path, text)


def _states(params: Path) -> States:
    recipes = sorted(params.rglob("[!.]*.yaml"))  # an open editor adds hidden ones
    code = [path for name in DECLARING for path in sorted((PACKAGE / name).glob("[!.]*.py"))]
    found = {path: path.stat() for path in (*recipes, *code)}
    return {p: (s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for p, s in found.items()}
