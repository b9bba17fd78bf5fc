"""The judgement of a study: each claim's difference, and the verdict on its statement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.judged_claim import OPEN, JudgedClaim, judge_claim
from unlabel.analysis.looks import Look
from unlabel.analysis.metric import Measure
from unlabel.analysis.verdict import Grade, Strict, grade, strict
from unlabel.errors import UserError
from unlabel.params.claim import Claim, Term


@dataclass(frozen=True)
class Judgement:
    """A study's runs, and each claim on each dataset; without claims there is no verdict."""

    study: FrozenStudy
    comparisons: tuple[Comparison, ...]
    claims: tuple[JudgedClaim, ...]

    @property
    def grade(self) -> Grade | None:
        """The verdict on the statement."""
        return grade([each.word for each in self.claims]) if self.claims else None

    @property
    def strict(self) -> Strict | None:
        """The verdict that every claim holds, not corrected for other studies."""
        return strict([each.p for each in self.claims]) if self.claims else None

    @property
    def open(self) -> tuple[JudgedClaim, ...]:
        """The claims that more seeds may decide."""
        return tuple(each for each in self.claims if each.word == OPEN)

    def measure(self, claim: Claim) -> Measure:
        """How a claim's difference is written: in points if all its metrics are shares."""
        return _measure(self.study, claim)

    def record(self, fingerprints: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
        """The judgement as JSON, with all that the page of all statements needs.

        `fingerprints` are those of the settings and the code of each stage that made the results.
        """
        study, found, whole = self.study, self.grade, self.strict
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
            "p": _round(whole.p) if whole else None,
            "p_for": _round(whole.p_for) if whole else None,
            "p_against": _round(whole.p_against) if whole else None,
            "looks": list(study.looks),
            "until": study.until,
            "claims": [self._claim(each) for each in self.claims],
            "conditions": [conditions(each, study) for each in self.comparisons],
            "made": {
                "runs": len(infos),
                "seconds": round(sum(float(info.get("seconds") or 0) for info in infos), 1),
                **{
                    name: sorted({str(info[name]) for info in infos if info.get(name)})
                    for name in ("commit", "lock", "device", "torch", "precision")
                },
                "fingerprints": dict(fingerprints),
            },
        }

    def _claim(self, judged: JudgedClaim) -> dict[str, Any]:
        effect, (p_for, p_against) = judged.effect, judged.p
        return {
            **judged.claim.written(),
            "formula": judged.claim.formula(),
            "dataset": judged.dataset,
            "share": self.measure(judged.claim).share,
            "margin": judged.margin,
            "differences": {str(seed): _round(each) for seed, each in judged.differences.items()},
            "effect": _round(effect.mean),
            "low": _round(effect.low),
            "high": _round(effect.high),
            "seeds": effect.n,
            "confidence": _round(judged.look.confidence),
            "p_for": _round(p_for),
            "p_against": _round(p_against),
            "word": judged.word,
            "needed": judged.seeds_needed() if judged.word == OPEN else None,
        }


def judge(
    study: FrozenStudy, comparisons: Sequence[Comparison], reached: Sequence[Look] = ()
) -> Judgement:
    """Judge a study's claims on each of its datasets, at the looks that are `reached`; else at all.

    Raises `UserError` for a claim about a metric that fewer than two seeds of a look have.
    """
    reached = reached or study.each_look
    judged = [_judge(study, claim, each, reached) for claim in study.claims for each in comparisons]
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
        "seeds_of_arms": sorted({len(arm.results) for arm in comparison.arms}),
    }


def _judge(
    study: FrozenStudy, claim: Claim, comparison: Comparison, reached: Sequence[Look]
) -> JudgedClaim:
    arms = {(arm.method, arm.label): arm for arm in comparison.arms}

    def values(term: Term) -> dict[int, float]:
        arm: Arm = arms[term.method, term.arm or ""]
        return arm.values(term.metric or claim.metric)

    known = {term: values(term) for term in claim.terms}
    seeds = sorted(set.intersection(*(set(each) for each in known.values())))
    if len(set(seeds) & set(reached[0].seeds)) < 2:
        lacking = min(known, key=lambda term: len(known[term]))
        raise UserError(
            f"{claim.says!r} cannot be judged on {comparison.dataset}: {lacking} was measured with "
            f"{len(known[lacking])} seeds, but at least two seeds must have all its terms"
        )
    differences = {
        seed: claim.difference(lambda term, s=seed: known[term][s])  # type: ignore[misc]
        for seed in seeds
    }
    return judge_claim(claim, comparison.dataset, differences, reached, margin_of(study, claim))


def margin_of(study: FrozenStudy, claim: Claim) -> float | None:
    """The difference that counts as none: the claim's own, or the study's if it is about shares."""
    if claim.margin is not None:
        return claim.margin
    return study.margin if _measure(study, claim).share else None


def _measure(study: FrozenStudy, claim: Claim) -> Measure:
    measures = [study.describe(name) for name in claim.metrics]
    if len(measures) == 1:
        return measures[0]
    return Measure("difference", "difference", share=all(each.share for each in measures))


def _whole_numbers(values: Iterable[Any]) -> list[int]:
    return sorted({int(value) for value in values if value is not None})


def _round(value: float) -> float:
    return float(f"{value:.6g}")
