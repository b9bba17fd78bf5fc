"""A published study judged again, from the differences in its record: its runs may be elsewhere."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.judged_claim import judge_claim
from unlabel.analysis.judgement import Judgement, margin_of

LEAST = 2  # seeds at the first look


def same(record: Mapping[str, Any], study: FrozenStudy) -> bool:
    """Do today's code and settings judge the record's differences as it says?

    `study` is as today's plan freezes it. How a claim is written in one line may differ.
    """
    study = replace(study, until=record.get("until"))
    if not study.each_look:  # its first look needs more seeds now
        return False
    published = record.get("claims", [])
    datasets = [each["dataset"] for each in record["conditions"]]
    claims, judged = list(product(study.claims, datasets)), []
    if len(claims) != len(published):
        return False
    for (claim, dataset), before in zip(claims, published, strict=True):
        differences = {int(seed): each for seed, each in before["differences"].items()}
        if len(differences.keys() & set(study.each_look[0].seeds)) < LEAST:
            return False
        looks, margin = study.each_look, margin_of(study, claim)
        judged.append(judge_claim(claim, dataset, differences, looks, margin))
    return _alike(_told(record), _told(Judgement(study, (), tuple(judged)).record()))


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of its claims, but for how each is written in one line."""
    claims = [{**each, "formula": ""} for each in record["claims"]]
    return {"claims": claims} | {
        name: record[name] for name in ("verdict", "p", "p_for", "p_against")
    }


def _alike(before: Any, now: Any) -> bool:
    """Are two values the same, but for the six digits of the differences that they come from?"""
    if isinstance(before, dict) and isinstance(now, dict):
        return before.keys() == now.keys() and all(_alike(before[key], now[key]) for key in now)
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_alike, before, now))
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=1e-3, abs_tol=1e-6)
    return bool(before == now)
