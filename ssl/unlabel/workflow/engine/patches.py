"""Snakemake's graph of jobs, built sooner: the same jobs, with less to do for each file.

Where Snakemake is not as it is known here, it is left as it is.
"""

import gc
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def hasten() -> None:
    """Have Snakemake build its graph by the means of this module; `built` says that it is done.

    No object of it is garbage before that, so to look for garbage among them all is in vain.
    """
    gc.disable()
    _find_producers_by_their_ends()
    _look_for_folders_only_where_a_rule_makes_one()


def built() -> None:
    """Look for garbage again, but not in the graph, which lasts as long as the workflow."""
    gc.freeze()
    gc.enable()


def _find_producers_by_their_ends() -> None:
    """Let a file's rules be looked up by how it ends.

    Snakemake looks them up by how a file begins. Here all begin with `data/runs/`, those of the 30
    rules that train too, and a quarter of the time of a plan went into walking through them.
    """
    from snakemake import dag

    theirs: Any = getattr(dag, "OutputIndex", None)
    if not hasattr(theirs, "match_producers"):
        return

    class Index(theirs):
        def __init__(self, rules: Iterable[Any]) -> None:
            rules = list(rules)
            super().__init__(rules)
            self.found: dict[str, set[Any]] = {}
            self.ends: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
            for rule in rules:
                for product in rule.products():
                    self.ends[str(product.constant_suffix())].append((product, rule))

        def match_producers(self, targetfile: str) -> set[Any]:
            if targetfile not in self.found:  # several jobs read it
                self.found[targetfile] = self._match(str(targetfile))
            return self.found[targetfile]

        def _match(self, file: str) -> set[Any]:
            try:
                return {
                    rule
                    for end, products in self.ends.items()
                    if file.endswith(end)
                    for product, rule in products
                    if product.match(file)
                }
            except (re.error, ValueError):  # Snakemake knows how to say what is wrong
                found: set[Any] = super().match_producers(file)
                return found

    dag.OutputIndex = Index


def _look_for_folders_only_where_a_rule_makes_one() -> None:
    """Leave out the check that no output lies in a folder that another job makes.

    It sorts all outputs of all jobs; only an output marked as a folder can have one inside.
    """
    from snakemake.dag import DAG
    from snakemake.io import is_flagged

    theirs = getattr(DAG, "check_directory_outputs", None)
    if theirs is None:
        return

    def check_directory_outputs(self: Any) -> None:
        if any(is_flagged(file, "directory") for rule in self.rules for file in rule.output):
            theirs(self)

    DAG.check_directory_outputs = check_directory_outputs


def overwrite_links() -> None:
    """Let Snakemake replace outputs that are write-protected, as DVC's hard links are.

    It removes an output before its job, and a stage writes to a new file, so what they link to is
    left alone. No rule here asks Snakemake itself to protect anything.
    """
    from snakemake.io import _IOFile

    async def protected(_: _IOFile) -> bool:
        return False

    _IOFile.protected = protected


def explain_lock() -> None:
    """Let Snakemake say in one sentence that another one is at work.

    Its own advice is to take away the lock, or to make again what is incomplete; here only a
    Snakemake that lives holds a lock, or has outputs that are incomplete.
    """
    from snakemake.exceptions import IncompleteFilesException, LockException

    def explain(self: Exception, *_: Any) -> None:
        where = f"another Snakemake makes the same files in {Path.cwd()}"
        super(type(self), self).__init__(f"error: {where}; wait until it ends, or stop it")

    LockException.__init__ = IncompleteFilesException.__init__ = explain
