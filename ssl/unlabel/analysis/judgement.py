"""What a study came to: each claim's difference, and the verdict on its statement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.metric import Measure, describe
from unlabel.analysis.verdict import Judged, Verdict, judge, verdict
from unlabel.errors import UserError
from unlabel.params import claim
from unlabel.params.claim import Claim, Term


@dataclass(frozen=True)
class Outcome:
    """A study's runs and what they say; a study without claims has no verdict."""

    brief: FrozenStudy
    settings: tuple[Comparison, ...]
    judged: tuple[Judged, ...]

    @property
    def verdict(self) -> Verdict | None:
        """On the statement, corrected for no other study."""
        return verdict(self.judged) if self.judged else None

    def record(self) -> dict[str, Any]:
        """As JSON has it: all that the page of all statements needs."""
        brief, found = self.brief, self.verdict
        results = [each for setting in self.settings for each in setting.results]
        once = {each.planned.run: each for each in results}.values()
        return {
            "name": brief.name,
            "title": brief.title,
            "question": brief.question,
            "statement": brief.statement,
            "source": brief.sources,
            "expected": brief.expected,
            "remark": brief.remark,
            "metric": brief.metric,
            "verdict": found.word if found else None,
            "p": _round(found.p) if found else None,
            "p_for": _round(found.p_for) if found else None,
            "p_against": _round(found.p_against) if found else None,
            "claims": [_claim(each) for each in self.judged],
            "conditions": [conditions(setting, brief) for setting in self.settings],
            "made": {
                "runs": len(once),
                "seconds": round(sum(float(e.about.get("seconds") or 0) for e in once), 1),
                **{
                    name: sorted({str(e.about[name]) for e in once if e.about.get(name)})
                    for name in ("commit", "lock", "device", "torch", "precision")
                },
            },
        }


def outcome(brief: FrozenStudy, settings: Sequence[Comparison]) -> Outcome:
    """Judge a study's claims on each of its datasets.

    Raises `UserError` for a claim about a metric that fewer than two seeds have.
    """
    claims = [claim.parse(each, brief.metric, "a claim") for each in brief.claims]
    judged = [_judge(each, setting) for each in claims for setting in settings]
    return Outcome(brief, tuple(settings), tuple(judged))


def unit(claimed: Claim) -> Measure:
    """How its differences are written: in points where all that it compares are shares."""
    measures = [describe(name) for name in claimed.metrics]
    if len(measures) == 1:
        return measures[0]
    return Measure("difference", "difference", share=all(each.share for each in measures))


def conditions(setting: Comparison, brief: FrozenStudy) -> dict[str, Any]:
    """What a verdict must always be read with."""
    trained = [each for each in setting.results if each.trained] or setting.results
    return {
        "dataset": setting.dataset,
        "encoder": sorted({each.planned.encoder for each in trained}),
        "budget": brief.budget,
        "images": _whole(each.about.get("images") for each in trained),
        "epochs": _whole(each.planned.epochs for each in trained),
        "batch": _whole(each.planned.batch for each in trained),
        "seeds": sorted({each.seed for each in setting.results}),
    }


def _judge(claimed: Claim, setting: Comparison) -> Judged:
    arms = {(arm.method, arm.label): arm for arm in setting.arms}

    def values(term: Term) -> dict[int, float]:
        arm: Arm = arms[term.method, term.arm or ""]
        return arm.values(term.metric or claimed.metric)

    known = {term: values(term) for term in claimed.terms}
    seeds = sorted(set.intersection(*(set(each) for each in known.values())))
    if len(seeds) < 2:
        lacking = min(known, key=lambda term: len(known[term]))
        raise UserError(
            f"{claimed.says!r} cannot be judged on {setting.dataset}: {lacking} was measured with "
            f"{len(known[lacking])} seeds, and at least two must have all that it compares"
        )
    differences = [claimed.difference(lambda term, s=seed: known[term][s]) for seed in seeds]  # type: ignore[misc]
    return judge(claimed, setting.dataset, differences)


def _claim(judged: Judged) -> dict[str, Any]:
    effect, measure = judged.effect, unit(judged.claim)
    return {
        **judged.claim.written(),
        "formula": judged.claim.formula(),
        "dataset": judged.dataset,
        "share": measure.share,
        "effect": _round(effect.mean),
        "low": _round(effect.low),
        "high": _round(effect.high),
        "seeds": effect.n,
        "p_for": _round(judged.p_for),
        "p_against": _round(judged.p_against),
        "word": judged.word,
    }


def _whole(values: Iterable[Any]) -> list[int]:
    return sorted({int(value) for value in values if value is not None})


def _round(value: float) -> float:
    return float(f"{value:.6g}")
