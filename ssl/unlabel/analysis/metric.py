"""How a measure is called and written. A measure nobody has described works all the same."""

import re
from dataclasses import dataclass

from unlabel.units import decimals, number

PROBES = {"knn": "kNN", "linear": "linear", "lowshot": "linear", "finetune": "fine-tuned"}
ACCURACY = re.compile(
    r"(?P<split>validation_)?(?P<probe>knn|linear|lowshot|finetune)(_(?P<share>\d+(\.\d+)?))?"
    r"(_(?P<vector>[hz]))?(?P<factor>_(?!l2|std)[a-z]\w+?)?(?P<deviation>_std)?"
)
TRANSFERRED = re.compile(rf"(?P<target>\w+?)_(?P<measure>{ACCURACY.pattern})")
NUMBER = re.compile(r"\d+(\.\d+)?")
TITLES = {
    "accuracy": "accuracy at the pretext task",
    "contrastive_accuracy": "contrastive accuracy",
    "loss": "loss",
    "mutual_information_bound": "mutual information bound (nats)",
}
SHARES = {"accuracy", "contrastive_accuracy"}
RUN = {
    "seconds": "time to train one run (s)",
    "images_per_second": "images/s",
    "peak_memory": "peak memory (bytes)",
}


@dataclass(frozen=True)
class Measure:
    """A measure's name in files, its title for people, and whether it is a share shown in %."""

    name: str
    title: str
    share: bool

    @property
    def unit(self) -> str:
        """What follows a number in a sentence."""
        return " %" if self.share else ""

    @property
    def heading(self) -> str:
        """The title with the unit, for an axis or a table."""
        return f"{self.title} (%)" if self.share else self.title

    def scaled(self, value: float) -> float:
        """The value in the unit it is shown in."""
        return 100 * value if self.share else value

    def write(self, value: float) -> str:
        """The value as text, without the unit."""
        return number(self.scaled(value), 1 if self.share else None)

    def write_interval(self, interval: float, mean: float) -> str:
        """Half an interval's width, with as many decimals as its mean has."""
        places = 1 if self.share else decimals(mean)
        return number(self.scaled(interval), places)


def describe(name: str) -> Measure:
    """What the measure `name` of a probe or of a training log is."""
    if found := ACCURACY.fullmatch(name):
        title = f"{PROBES[found['probe']]} accuracy"
        title += f", {found['share']} % of labels" if found["share"] else ""
        title += f" for {found['factor'][1:].replace('_', ' ')}" if found["factor"] else ""
        title += f", on {found['vector']}" if found["vector"] else ""
        title += ", validation" if found["split"] else ""
        title += ", deviation over draws" if found["deviation"] else ""
        return Measure(name, title, share=True)
    kind, _, rest = name.partition(".")
    if kind == "log" and rest:
        last = describe(rest)
        return Measure(name, f"{last.title} at the end of training", last.share)
    if kind == "run" and rest:
        return Measure(name, RUN.get(rest, rest.replace("_", " ")), share=False)
    if found := TRANSFERRED.fullmatch(name):
        title = f"{describe(found['measure']).title}, on {found['target'].replace('_', ' ')}"
        return Measure(name, title, share=True)
    return Measure(name, TITLES.get(name, name.replace("_", " ")), share=name in SHARES)


def capital(text: str) -> str:
    """To begin a heading with; what has a capital of its own, as kNN, stays as it is."""
    return text if any(map(str.isupper, text.split()[0])) else f"{text[0].upper()}{text[1:]}"


def natural(name: str) -> list[tuple[float, str]]:
    """To sort by: lowshot_1 before lowshot_10, and both before lowshot_1_std."""
    parts = [(float(p), "") if NUMBER.fullmatch(p) else (0.0, p) for p in name.split("_")]
    return [(float(sum(word != "" for _, word in parts)), ""), *parts]
