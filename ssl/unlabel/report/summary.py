"""The summary at the top of the leaderboard page, in sentences."""

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import Estimate

RANK = (
    "Without labels, accuracy cannot be measured. A higher effective rank means that the features "
    "use more directions; it often goes with higher accuracy (arXiv:2210.02885), but not always."
)


def sentences(comparison: Comparison, metric: str) -> list[str]:
    """Which method is best, by how much, and how certain that is."""
    measure = comparison.describe(metric)

    def amount(found: Estimate, unit: str) -> str:
        half = found.interval
        around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
        text = f"{measure.write(found.mean)}{around}{unit}"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    ranked = [arm for arm in comparison.ranked(metric) if arm.estimate(metric)]
    lines: list[str] = []
    contest = [arm for arm in ranked if arm in comparison.contestants]
    if contest:
        best = contest[0]
        extreme = "highest" if measure.sign > 0 else "lowest"
        text = f"{best.name} has the {extreme} {measure.title} of all methods without labels"
        lines.append(f"{text}, {amount(_of(best, metric), measure.suffix)}")
        if gain := comparison.gain(best, metric):
            # The paired interval can be much narrower than that of either mean.
            side = "above" if gain.mean >= 0 else "below"
            size = Estimate(abs(gain.mean), gain.interval, gain.n)
            points = " points" if measure.share else ""
            lines[-1] += f": {amount(size, points)} {side} the untrained encoder"
        lines[-1] += "."
    if len(contest) > 1:
        shown = amount(_of(contest[1], metric), measure.suffix)
        lines.append(_second(contest, metric, measure.sign, shown))
    if lines and metric == "effective_rank":
        lines.append(RANK)
    lines += [
        f"With labels, {arm.name} reaches {amount(_of(arm, metric), measure.suffix)}."
        for arm in ranked
        if arm.labels
    ]
    return lines


def _of(arm: Arm, metric: str) -> Estimate:
    found = arm.estimate(metric)
    assert found is not None
    return found


def _second(contest: list[Arm], metric: str, sign: int, shown: str) -> str:
    first, second = (_of(arm, metric) for arm in contest[:2])
    text = f"{contest[1].name} is next with {shown}"
    if first.interval is None or second.interval is None:
        return f"{text}; with one seed, this difference may be chance."
    if first.low <= second.high if sign > 0 else first.high >= second.low:
        return f"{text}; their intervals overlap, so the order may be chance."
    return f"{text}."
