"""The judgement of a study: each claim's difference, and the verdict on its statement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.metric import Measure
from unlabel.analysis.verdict import JudgedClaim, Verdict, judge_claim, verdict
from unlabel.errors import UserError
from unlabel.params.claim import Claim, Term


@dataclass(frozen=True)
class Judgement:
    """A study's runs, and each claim on each dataset; without claims there is no verdict."""

    study: FrozenStudy
    comparisons: tuple[Comparison, ...]
    claims: tuple[JudgedClaim, ...]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the statement, not corrected for other studies."""
        return verdict(self.claims) if self.claims else None

    def measure(self, claim: Claim) -> Measure:
        """How a claim's difference is written: in points if all its metrics are shares."""
        measures = [self.study.describe(name) for name in claim.metrics]
        if len(measures) == 1:
            return measures[0]
        return Measure("difference", "difference", share=all(each.share for each in measures))

    def record(self) -> dict[str, Any]:
        """The judgement as JSON, with all that the page of all statements needs."""
        study, found = self.study, self.verdict
        results = [each for comparison in self.comparisons for each in comparison.results]
        infos = {each.planned.run: each.run_info for each in results}.values()
        return {
            "name": study.name,
            "title": study.title,
            "question": study.question,
            "statement": study.statement,
            "source": study.sources,
            "expected": study.expected,
            "remark": study.remark,
            "metric": study.metric,
            "verdict": found.word if found else None,
            "p": _round(found.p) if found else None,
            "p_for": _round(found.p_for) if found else None,
            "p_against": _round(found.p_against) if found else None,
            "claims": [self._claim(each) for each in self.claims],
            "conditions": [conditions(each, study) for each in self.comparisons],
            "made": {
                "runs": len(infos),
                "seconds": round(sum(float(info.get("seconds") or 0) for info in infos), 1),
                **{
                    name: sorted({str(info[name]) for info in infos if info.get(name)})
                    for name in ("commit", "lock", "device", "torch", "precision")
                },
            },
        }

    def _claim(self, judged: JudgedClaim) -> dict[str, Any]:
        effect = judged.effect
        return {
            **judged.claim.written(),
            "formula": judged.claim.formula(),
            "dataset": judged.dataset,
            "share": self.measure(judged.claim).share,
            "effect": _round(effect.mean),
            "low": _round(effect.low),
            "high": _round(effect.high),
            "seeds": effect.n,
            "p_for": _round(judged.p_for),
            "p_against": _round(judged.p_against),
            "word": judged.word,
        }


def judge(study: FrozenStudy, comparisons: Sequence[Comparison]) -> Judgement:
    """Judge a study's claims on each of its datasets.

    Raises `UserError` for a claim about a metric that fewer than two seeds have.
    """
    judged = [_judge(claim, each) for claim in study.claims for each in comparisons]
    return Judgement(study, tuple(comparisons), tuple(judged))


def conditions(comparison: Comparison, study: FrozenStudy) -> dict[str, Any]:
    """The conditions that a verdict holds under, without which nobody should read it."""
    trained = [each for each in comparison.results if each.trained] or comparison.results
    return {
        "dataset": comparison.dataset,
        "encoder": sorted({each.planned.encoder for each in trained}),
        "budget": study.budget,
        "images": _whole_numbers(each.run_info.get("images") for each in trained),
        "epochs": _whole_numbers(each.planned.epochs for each in trained),
        "batch": _whole_numbers(each.planned.batch for each in trained),
        "seeds": sorted({each.seed for each in comparison.results}),
    }


def _judge(claim: Claim, comparison: Comparison) -> JudgedClaim:
    arms = {(arm.method, arm.label): arm for arm in comparison.arms}

    def values(term: Term) -> dict[int, float]:
        arm: Arm = arms[term.method, term.arm or ""]
        return arm.values(term.metric or claim.metric)

    known = {term: values(term) for term in claim.terms}
    seeds = sorted(set.intersection(*(set(each) for each in known.values())))
    if len(seeds) < 2:
        lacking = min(known, key=lambda term: len(known[term]))
        raise UserError(
            f"{claim.says!r} cannot be judged on {comparison.dataset}: {lacking} was measured with "
            f"{len(known[lacking])} seeds, but at least two seeds must have all its terms"
        )
    differences = [claim.difference(lambda term, s=seed: known[term][s]) for seed in seeds]  # type: ignore[misc]
    return judge_claim(claim, comparison.dataset, differences)


def _whole_numbers(values: Iterable[Any]) -> list[int]:
    return sorted({int(value) for value in values if value is not None})


def _round(value: float) -> float:
    return float(f"{value:.6g}")
