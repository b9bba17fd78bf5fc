"""What a hurried reader is told first, in sentences."""

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import Estimate

RANK = (
    "Without labels nobody can say whose features serve best: a higher effective rank says that "
    "they use more directions, which often goes with it (arXiv:2210.02885) and need not."
)


def sentences(setting: Comparison, metric: str) -> list[str]:
    """Who is best, by how much, and how sure that is."""
    measure = setting.describe(metric)

    def amount(found: Estimate, unit: str) -> str:
        half = found.interval
        around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
        text = f"{measure.write(found.mean)}{around}{unit}"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    ranked = [arm for arm in setting.ranked(metric) if arm.estimate(metric)]
    told: list[str] = []
    contest = [arm for arm in ranked if arm in setting.contestants]
    if contest:
        best = contest[0]
        extreme = "highest" if measure.sign > 0 else "lowest"
        text = f"{best.name} has the {extreme} {measure.title} of the methods that see no label"
        told.append(f"{text}, {amount(_of(best, metric), measure.suffix)}")
        if gain := setting.gain(best, metric):
            # A paired interval can be much narrower than either mean's.
            side = "above" if gain.mean >= 0 else "below"
            size = Estimate(abs(gain.mean), gain.interval, gain.n)
            points = " points" if measure.share else ""
            told[-1] += f": {amount(size, points)} {side} the untrained encoder"
        told[-1] += "."
    if len(contest) > 1:
        told.append(_second(contest, metric, amount(_of(contest[1], metric), measure.suffix)))
    if told and metric == "effective_rank":
        told.append(RANK)
    told += [
        f"With labels, {arm.name} has {amount(_of(arm, metric), measure.suffix)}."
        for arm in ranked
        if arm.labels
    ]
    return told


def _of(arm: Arm, metric: str) -> Estimate:
    found = arm.estimate(metric)
    assert found is not None
    return found


def _second(contest: list[Arm], metric: str, shown: str) -> str:
    first, second = (_of(arm, metric) for arm in contest[:2])
    text = f"{contest[1].name} is next with {shown}"
    if first.interval is None or second.interval is None:
        return f"{text}; with one seed, nobody can say whether that difference is chance."
    if first.low <= second.high:
        return f"{text}; their intervals overlap, so the order may be chance."
    return f"{text}."
