"""The datasets of a plan: their frozen recipes, and what is known of their images."""

import json
from pathlib import Path
from typing import Any

from unlabel.data.expected import Expected
from unlabel.data.source_state import look
from unlabel.errors import UserError
from unlabel.params import compose
from unlabel.params.command_line import ChosenDataset
from unlabel.params.settings import build, check
from unlabel.workflow.freeze import Entries, Freezer, Stage, parameters

PREPARED = Path("data/prepared")
# how the keys of the entries of studies begin
OF_STUDIES = ("study ", "stated ", "statements ", "report ", "unlabelled ", "fitting ")


class PlannedDatasets:
    """Datasets by name. One of the user's own images is looked at again by each new process."""

    def __init__(
        self, params: Path, chosen: ChosenDataset, entries: Entries, freezer: Freezer, main: bool
    ):
        self.params, self.chosen = params, chosen
        self.entries, self.freezer, self.main = entries, freezer, main
        self.seen: set[str] = set()  # the datasets that this process has looked at
        self.recipes = compose.names(params, "dataset")

    def parameters(self, name: str) -> dict[str, str]:
        """The parameters of the rule `prepare` for a dataset.

        Raises `UserError` if it is unknown or wrong, or the user's own images cannot be found.
        """
        return parameters(self._stages(name), "prepare")

    def labelled(self, name: str) -> bool:
        """Has any image of a dataset a label?"""
        return self.expected(name).labelled

    def expected(self, name: str) -> Expected:
        """What is known of a dataset's images."""
        known = self._stages(name)["prepare"]
        size = known["size"] and (known["size"][0], known["size"][1])
        counts, classes = known["images"], known["classes"]
        return Expected(known["labelled"], size, counts, classes, known["masks"])

    def masks(self, name: str) -> dict[str, str]:
        """The parameters of the rule `masks` for a dataset."""
        return parameters(self._stages(name), "masks")

    def origin(self, name: str) -> str:
        """The recipe that a dataset is made from: its own, or the one of `name=` when it was made.

        Raises `UserError` if there is no such dataset.
        """
        if name == self.chosen.dataset:
            return self.chosen.recipe or name
        if name not in self.recipes and (made := self._made(name)):
            for each in self.recipes:
                if compose.recipe(self.params, each).get("_target_") == made["_target_"]:
                    return each
        return name if name in self.recipes else compose.choose(self.params, "dataset", name)

    def exists(self, name: str) -> bool:
        """Is there such a dataset?"""
        try:
            return bool(self.origin(name))
        except UserError:
            return False

    def recipe(self, name: str) -> dict[str, Any]:
        """The settings of a dataset. Raises `UserError` as `origin` does."""
        origin = self.origin(name)
        changes = self.chosen.of(name)
        if name not in (origin, self.chosen.dataset):
            changes = self._made(name) or {}
        return compose.recipe(self.params, origin, **changes)

    def _made(self, name: str) -> dict[str, Any] | None:
        """The recipe that a dataset of the user's own images was prepared with."""
        try:
            report = json.loads((PREPARED / name / "report.json").read_text(encoding="utf-8"))
            made: dict[str, Any] = report["dataset"]
            return {**made, "_target_": made["_target_"]}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _mended(self, name: str, said: str) -> UserError:
        """What is wrong with a dataset; of one that `name=` names, the recipe is what to type."""
        recipe, typed = self.origin(name), f"dataset={name} path="
        if recipe != name:
            said = said.replace(f"{typed}FOLDER", f"dataset={recipe} name={name} path=FOLDER")
            said = said.replace(typed, f"dataset={recipe} path=")
        return UserError(said)

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
        recipe, typed = self.recipe(name), "path" in self.chosen.of(name)
        report, folder = PREPARED / name / "report.json", self.freezer.folder
        try:
            place = look(recipe, report, name, folder, typed)
        except UserError as error:
            raise self._mended(name, str(error)) from error
        counts, labelled = place.pop("images", None), place.pop("labelled", None)
        classes = place.pop("classes", None)
        frozen = self.freezer.freeze({"name": name, "dataset": recipe, **place})
        if known and known["settings"] == frozen["settings"]:
            known["images"] = counts or known["images"]
            return
        check(recipe, "dataset")
        dataset = build(recipe, "dataset")
        if counts is None:
            found = dataset.expected()
        else:
            found = Expected(labelled, dataset.image_size(), counts, classes, dataset.segmented())
        facts = found._asdict() | {"size": found.size and list(found.size)}
        del facts["images"]
        self.entries[key] = {"prepare": frozen | facts | {"images": found.images}}
        if found.masks:
            self.entries[key]["masks"] = dict(frozen)
        self.entries[key]["prepare"]["place"] = bool(place)
        if known and any(known[name] != facts[name] for name in facts):
            # studies of it have other methods and metrics
            for each in [each for each in self.entries if each.startswith(OF_STUDIES)]:
                del self.entries[each]
