"""The images of a dataset before they are read."""

from dataclasses import dataclass, field

from unlabel.data.image_files import Skipped
from unlabel.data.source_state import PROBE
from unlabel.dataset._classes import classes_of
from unlabel.dataset._outcome import Example
from unlabel.errors import UserError


@dataclass
class Listing:
    """The images of a dataset before they are read, and what was noticed on the way."""

    examples: list[Example]
    skipped: Skipped = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def beside(self, probe: "Listing", path: str) -> "Listing":
        """These images and then those of the labelled set at `path`, whose names say so.

        Raises `UserError` if that has no two classes.
        """
        if not classes_of([each.label for each in probe.examples]).names:
            raise UserError(
                f"{path} has no two classes, but probe_path is the labelled set; label its images, "
                "or leave probe_path out"
            )
        examples, skipped = [*self.examples], {why: [*each] for why, each in self.skipped.items()}
        for each in probe.examples:
            file = each.file and PROBE + each.file
            examples.append(each._replace(name=PROBE + each.name, file=file))
        for why, names in probe.skipped.items():
            skipped.setdefault(why, []).extend(PROBE + name for name in names)
        remarks = [*self.remarks, *(f"{PROBE} {remark}" for remark in probe.remarks)]
        return Listing(examples, skipped, remarks)
