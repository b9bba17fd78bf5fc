"""What a metric is: whoever measures a number declares its name, and how people read it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Metric:
    """A number's name in files, its title for people, and how to read it.

    `{factor}` or `{transform}` in the name stands for any factor or transform, and in the title for
    the same one.
    """

    name: str
    title: str
    share: bool = False  # from 0 to 1, and shown in %
    unit: str = ""  # of a number that is no share, as in "nats"
    better: Literal["higher", "lower", ""] = ""  # empty where neither is
    labels: bool = False  # measured only where images have labels
    projector: bool = False  # measured only where the method has a projector

    def of(self, **values: str) -> "Metric":
        """The metric of one factor or transform: `of(transform="crop")`."""
        name, title = self.name, self.title
        for key, value in values.items():
            name = name.replace(f"{{{key}}}", value)
            title = title.replace(f"{{{key}}}", value.replace("_", " "))
        return replace(self, name=name, title=title)

    def matched(self, name: str) -> "Metric | None":
        """This metric, its places filled so that it is called `name`; None if they cannot be."""
        parts = PLACE.split(self.name)
        pattern = "".join(
            rf"(?P<{part}>\w+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)
        )
        found = re.fullmatch(pattern, name)
        return self.of(**found.groupdict()) if found else None


def find(name: str, declared: Iterable[Metric]) -> Metric | None:
    """The declared metric of that name: itself, or else the closest pattern that `name` fits."""
    best: Metric | None = None
    longest = -1
    for metric in declared:
        if metric.name == name:
            return metric
        literal = len(PLACE.sub("", metric.name))
        if "{" in metric.name and literal > longest and (found := metric.matched(name)):
            best, longest = found, literal
    return best


def accuracies(name: str, title: str, **needs: bool) -> Iterator[Metric]:
    """An accuracy on the test split, and the same on the validation split."""
    accuracy = Metric(name, title, share=True, better="higher", **needs)  # type: ignore[arg-type]
    yield accuracy
    yield replace(accuracy, name=f"validation_{name}", title=f"{title}, validation")
