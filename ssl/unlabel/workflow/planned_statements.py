"""The statements of a plan: which studies test one, and which of them can be judged."""

from collections.abc import Iterator, Sequence

from unlabel.errors import UserError
from unlabel.params.study import stated
from unlabel.workflow.freeze import Entries, Freezer, parameters
from unlabel.workflow.planned_studies import PlannedStudies

STATED, STATEMENTS = "stated ", "statements "  # how the keys of the entries begin


def without_left_out(entries: Entries) -> Entries:
    """A kept plan without the statements that left out a study: what it lacked may be there now."""
    asked = [key.removeprefix(STATED) for key in entries if key.startswith(STATED)]
    lacking = [each for each in asked if entries[STATED + each]["known"]["left_out"]]
    forgotten = {prefix + each for prefix in (STATED, STATEMENTS) for each in lacking}
    return {key: entries[key] for key in entries if key not in forgotten}


class PlannedStatements:
    """The studies with a statement, each at the budget that is asked for, or else at its own."""

    def __init__(self, studies: PlannedStudies, entries: Entries, freezer: Freezer):
        self.studies, self.entries, self.freezer = studies, entries, freezer

    def stated(self, budget: str) -> tuple[list[str], dict[str, str]]:
        """The studies that test a statement; why each other one is left out.

        `budget` may be empty for their own. Raises `UserError` if none is left.
        """
        names = stated(self.studies.params)
        key = STATED + self._asked(budget)
        if key not in self.entries:
            self.entries[key] = {"known": {"left_out": dict(self._left_out(names, budget))}}
        left_out = self.entries[key]["known"]["left_out"]
        if names and len(left_out) == len(names):
            name, why = next(iter(left_out.items()))
            raise UserError(f"no study with a statement can be judged; {name}: {why}")
        return [name for name in names if name not in left_out], left_out

    def parameters(self, budget: str) -> dict[str, str]:
        """The parameters of the rule `statements`: with the studies that are left out."""
        key = STATEMENTS + self._asked(budget)
        if key not in self.entries:
            settings = {"left_out": self.stated(budget)[1]}
            self.entries[key] = {"statements": self.freezer.freeze(settings)}
        return parameters(self.entries[key], "statements")

    def _asked(self, budget: str) -> str:
        return f"{budget} after {self.studies.looks or 'all'} looks"

    def _left_out(self, names: Sequence[str], budget: str) -> Iterator[tuple[str, str]]:
        for name in names:
            try:
                self.studies.parameters(name, budget)
            except UserError as error:
                yield name, str(error)
