"""What was left out of a study or changed in its runs, because of the images."""

from collections import defaultdict
from collections.abc import Iterator

from unlabel.analysis.arms import Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.units import number


def sentences(study: FrozenStudy, comparison: Comparison) -> Iterator[str]:
    """One for each reason."""
    left_out = defaultdict[str, list[str]](list)
    for name, why in study.left_out.items():
        left_out[why].append(name)
    for why, names in left_out.items():
        yield f"Left out: {', '.join(names)}. The reason: {why}."
    changed = defaultdict[str, list[str]](list)
    for arm in comparison.arms:
        about = arm.results[0].run_info
        for key, (planned, made) in about.get("fitted", {}).items():
            said = f"The setting {key} is {number(made, 0)} and not {number(planned, 0)}, as there"
            changed[f"{said} are {number(about['images'], 0)} images to train on"].append(arm.name)
    for said, names in changed.items():
        some = "" if len(names) == len(comparison.arms) else f": {', '.join(names)}"
        yield f"{said}{some}."
