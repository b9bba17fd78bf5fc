"""The page of all statements, made from the records of their studies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from unlabel.analysis.estimate import Estimate
from unlabel.analysis.verdict import FAILS, HOLDS, OPEN, Verdict, holm
from unlabel.report import html
from unlabel.report.sections import markdown
from unlabel.report.study_page import describe_conditions, difference, kind, probability
from unlabel.units import duration

ORDER = (HOLDS, FAILS, OPEN)


@dataclass(frozen=True)
class Statement:
    """A study's record, with its verdict corrected for the number of statements."""

    record: Mapping[str, Any]
    verdict: Verdict


def judge(records: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """Correct the verdicts for multiple testing (Holm). Statements come sorted by title."""
    records = sorted(records, key=lambda record: str(record["title"]))
    own = [Verdict(r["p_for"], r["p_against"], r["p"], r["p"]) for r in records]
    corrected = holm([each.p for each in own])
    return [
        Statement(record, replace(each, corrected=p))
        for record, each, p in zip(records, own, corrected, strict=True)
    ]


def render(statements: Sequence[Statement], left_out: Mapping[str, str]) -> str:
    """The page as HTML; it names the studies that are left out, each with the reason."""
    return html.render(
        "statements.html",
        rows=[_row(each) for each in statements],
        summary=summary(statements),
        facts=_facts(statements),
        left_out=left_out,
    )


def summary(statements: Sequence[Statement]) -> str:
    """One sentence: how many statements got each verdict."""
    counts = Counter(each.verdict.word for each in statements)
    if not statements:
        return "No study in params/study has a statement."
    many = f"{len(statements)} statements" if len(statements) > 1 else "One statement"
    counted = ", ".join(
        f"{counts[word]} {_plural(word, counts[word])}" for word in ORDER if counts[word]
    )
    return f"{many} tested: {counted}."


def text(statements: Sequence[Statement]) -> str:
    """The table as Markdown."""
    rows = [
        [
            row["title"],
            row["statement"],
            f"**{row['word']}**",
            row["p"],
            "; ".join(f"{each['says']}: {each['effect']}" for each in row["listed"]),
            "; ".join(row["conditions"]),
        ]
        for row in map(_row, statements)
    ]
    names = ["study", "statement", "verdict", "p (Holm)", "differences", "tested on"]
    return f"{summary(statements)}\n\n" + markdown(names, rows)


def table(statements: Sequence[Statement]) -> pd.DataFrame:
    """One row for each claim on each dataset, with its statement's verdict.

    `claim` names each row: the study, the claim's place in it, its words, and the dataset if the
    study has several.
    """
    rows = []
    for each in statements:
        verdict = each.verdict
        whole = {"verdict": verdict.word, "p": verdict.p, "p_holm": verdict.corrected}
        claims = each.record["claims"]
        places = list(dict.fromkeys((claim["says"], claim["formula"]) for claim in claims))
        several = len({claim["dataset"] for claim in claims}) > 1
        for claim in claims:
            place = places.index((claim["says"], claim["formula"])) + 1
            where = f" ({claim['dataset']})" if several else ""
            label = f"{each.record['name']} {place}: {claim['says']}{where}"
            keys = ("says", "formula", "dataset", "effect", "low", "high", "seeds")
            own = {key: claim[key] for key in (*keys, "p_for", "p_against")}
            rows.append({"study": each.record["name"], "claim": label} | own | whole)
    return pd.DataFrame(rows)


def record(statements: Sequence[Statement]) -> dict[str, Any]:
    """The verdicts for JSON and `dvc metrics`; what each claim came to is in the table."""
    return {
        each.record["name"]: {
            "verdict": each.verdict.word,
            "p": each.verdict.p,
            "p_holm": float(f"{each.verdict.corrected:.6g}"),
        }
        for each in statements
    }


def _row(statement: Statement) -> dict[str, Any]:
    record, verdict = statement.record, statement.verdict
    claims = record["claims"]
    seeds = {len(condition["seeds"]) for condition in record["conditions"]}
    return {
        **record,
        "word": verdict.word,
        "kind": kind(verdict.word),
        "order": ORDER.index(verdict.word),
        "p": probability(verdict.corrected),
        "corrected": verdict.corrected,
        "holding": sum(claim["word"] == HOLDS for claim in claims),
        "claims": len(claims),
        "listed": [_claim(claim) for claim in claims],
        "many": len(record["conditions"]) > 1,
        "conditions": [describe_conditions(condition) for condition in record["conditions"]],
        "seeds": min(seeds),
    }


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    effect = Estimate(claim["effect"], (claim["high"] - claim["low"]) / 2, claim["seeds"])
    unit = " points" if claim["share"] else ""
    shown = difference(effect, claim["share"], unit)
    return {**claim, "effect": shown, "kind": kind(claim["word"])}


def _facts(statements: Sequence[Statement]) -> list[tuple[str, str]]:
    made = [each.record["made"] for each in statements]

    def listed(name: str) -> str:
        return ", ".join(sorted({value for each in made for value in each[name]}))

    facts = [
        ("Runs", f"{sum(m['runs'] for m in made)} (a run shared by studies counts once for each)"),
        ("Training time", duration(sum(m["seconds"] for m in made))),
        ("Device", listed("device")),
        ("Precision", listed("precision")),
        ("Software", f"torch {listed('torch')}"),
        ("Commit", listed("commit")),
        ("Environment lock", listed("lock")),
    ]
    return [(term, text) for term, text in facts if text]


def _plural(word: str, count: int) -> str:
    if count == 1:
        return word
    return {HOLDS: "hold here", FAILS: "do not hold here"}.get(word, word)
