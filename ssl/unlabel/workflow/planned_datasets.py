"""The datasets of a plan: their frozen recipes, and whether their images have labels."""

from pathlib import Path

from unlabel.data.source_state import look
from unlabel.params import compose
from unlabel.params.command_line import ChosenDataset
from unlabel.params.settings import build, check
from unlabel.workflow.freeze import Entries, Freezer, Stage, parameters

PREPARED = Path("data/prepared")
# how the keys of their entries begin
OF_STUDIES = ("study ", "stated ", "statements ", "report ", "unlabelled ")


class PlannedDatasets:
    """Datasets by name. One of the user's own images is looked at again by each new process."""

    def __init__(
        self, params: Path, chosen: ChosenDataset, entries: Entries, freezer: Freezer, main: bool
    ):
        self.params, self.chosen = params, chosen
        self.entries, self.freezer, self.main = entries, freezer, main
        self.seen: set[str] = set()  # the datasets that this process has looked at

    def parameters(self, name: str) -> dict[str, str]:
        """The parameters of the rule `prepare` for a dataset.

        Raises `UserError` if it is unknown or wrong, or the user's own images cannot be found.
        """
        return parameters(self._stages(name), "prepare")

    def labelled(self, name: str) -> bool:
        """Has any image of a dataset a label?"""
        return bool(self._stages(name)["prepare"]["labelled"])

    def _stages(self, name: str) -> dict[str, Stage]:
        key = f"dataset {name}"
        if key not in self.entries or (self.main and name not in self.seen):
            self.seen.add(name)
            self._plan(key, name)
        return self.entries[key]

    def _plan(self, key: str, name: str) -> None:
        """Freeze a dataset's recipe; again if its images are in a place of the user's."""
        known = self.entries.get(key, {}).get("prepare")
        if known and not known["place"]:
            return
        recipe = compose.recipe(self.params, name, **self.chosen.of(name))
        place = look(recipe, PREPARED / name / "report.json", name, self.freezer.folder)
        labelled = place.pop("labelled", None if place else True)
        frozen = self.freezer.freeze({"name": name, "dataset": recipe, **place})
        if known and known["settings"] == frozen["settings"]:
            return
        check(recipe, "dataset")
        if labelled is None:
            labelled = build(recipe, "dataset").labelled()
        self.entries[key] = {"prepare": frozen | {"labelled": labelled, "place": bool(place)}}
        if known and known["labelled"] != labelled:  # studies of it have other methods and metrics
            for each in [each for each in self.entries if each.startswith(OF_STUDIES)]:
                del self.entries[each]
