"""The page of all statements, made from the records of their studies."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from unlabel.analysis.estimate import Estimate
from unlabel.analysis.judged_claim import HOLDS, OPEN
from unlabel.analysis.looks import LEVEL
from unlabel.analysis.verdict import (
    FAILS,
    IN_PART,
    RATE,
    Grade,
    Strict,
    false_discoveries,
    grade,
    holm,
)
from unlabel.report import html
from unlabel.report.sections import markdown
from unlabel.report.verdict_section import (
    describe_conditions,
    difference,
    kind,
    probability,
    seeds_needed,
)
from unlabel.units import duration, number

ORDER = (HOLDS, IN_PART, FAILS, OPEN)


@dataclass(frozen=True)
class Statement:
    """A study's record, its verdict, and the strict one corrected for the number of statements."""

    record: Mapping[str, Any]
    grade: Grade
    strict: Strict


def judge(records: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """Grade the statements, and correct the strict verdicts (Holm). They come sorted by title."""
    records = sorted(records, key=lambda record: str(record["title"]))
    own = [Strict(r["p_for"], r["p_against"], r["p"], r["p"]) for r in records]
    corrected = holm([each.p for each in own])
    return [
        Statement(record, grade([c["word"] for c in record["claims"]]), replace(each, corrected=p))
        for record, each, p in zip(records, own, corrected, strict=True)
    ]


def render(statements: Sequence[Statement], left_out: Mapping[str, str]) -> str:
    """The page as HTML; it names the studies that are left out, each with the reason."""
    return html.render(
        "statements.html",
        rows=[_row(each) for each in statements],
        summary=list(summary(statements)),
        facts=_facts(statements),
        left_out=left_out,
    )


def summary(statements: Sequence[Statement]) -> Iterator[str]:
    """In sentences: how many statements got each verdict, and how far to trust their claims."""
    if not statements:
        yield "No study in params/study has a statement."
        return
    counts = Counter(each.grade.word for each in statements)
    many = f"{len(statements)} statements" if len(statements) > 1 else "One statement"
    counted = ", ".join(
        f"{counts[word]} {_plural(word, counts[word])}" for word in ORDER if counts[word]
    )
    yield f"{many} tested: {counted}."
    words = Counter(claim["word"] for each in statements for claim in each.record["claims"])
    claims, decided = words.total(), words.total() - words[OPEN]
    split = ", ".join(
        f"{count} {_plural(word, count)}" for word, count in words.most_common() if word != OPEN
    )
    yield f"{decided} of their {claims} claims are decided" + (f": {split}." if split else ".")
    if decided:
        yield _trust(claims, decided)
    stopped = [each.record["claims"] for each in statements if each.record.get("until")]
    if early := sum(claim["word"] == OPEN for claims in stopped for claim in claims):
        yield f"Open claims that more seeds may still decide, which were not asked for: {early}."


def _trust(claims: int, decided: int) -> str:
    """How many of the decided claims may be wrong."""
    wrong = f"On average at most {LEVEL * claims:.2g} claims would be decided wrongly"
    share = false_discoveries(claims, decided)
    if share <= RATE:
        return f"{wrong}, {number(100 * share, 1)} % of those that are."
    least = f"fewer than {LEVEL / RATE * claims:.2g} of them are decided"
    return f"{wrong}. As {least}, chance alone may be behind too many: believe none of them."


def text(statements: Sequence[Statement], left_out: Mapping[str, str]) -> str:
    """The table as Markdown, and the studies that are left out."""
    rows = [
        [
            row["title"],
            f"**{row['word']}**",
            row["statement"],
            f"{row['strict']} ({row['p']})",
            "; ".join(
                f"{each['says']}: {each['effect']}, {each['word']}" for each in row["listed"]
            ),
            "; ".join(row["conditions"]),
        ]
        for row in map(_row, statements)
    ]
    names = ["study", "verdict", "statement", "every claim (Holm)", "differences", "tested on"]
    found = f"{' '.join(summary(statements))}\n\n" + markdown(names, rows)
    listed = "".join(f"- `{name}`: {why}\n" for name, why in left_out.items())
    return found + (f"\nThese studies have no verdict here:\n\n{listed}" if listed else "")


def table(statements: Sequence[Statement]) -> pd.DataFrame:
    """One row for each claim on each dataset, with its statement's verdict.

    `claim` names each row: the study, the claim's place in it, its words, and the dataset if the
    study has several.
    """
    rows = []
    for each in statements:
        claims = each.record["claims"]
        places = list(dict.fromkeys((claim["says"], claim["formula"]) for claim in claims))
        several = len({claim["dataset"] for claim in claims}) > 1
        whole = {"verdict": each.grade.word} | _strict(each.strict)
        for claim in claims:
            place = places.index((claim["says"], claim["formula"])) + 1
            where = f" ({claim['dataset']})" if several else ""
            label = f"{each.record['name']} {place}: {claim['says']}{where}"
            keys = ("says", "formula", "dataset", "effect", "low", "high", "seeds")
            own = {key: claim[key] for key in (*keys, "p_for", "p_against", "word")}
            rows.append({"study": each.record["name"], "claim": label} | own | whole)
    return pd.DataFrame(rows)


def record(statements: Sequence[Statement]) -> dict[str, Any]:
    """The verdicts for JSON and `dvc metrics`; what each claim came to is in the table."""
    return {
        each.record["name"]: {
            "verdict": each.grade.word,
            "claims": each.grade.claims,
            "holding": each.grade.holding,
            "open": each.grade.open,
            **_strict(each.strict),
        }
        for each in statements
    }


def _strict(found: Strict) -> dict[str, Any]:
    corrected = float(f"{found.corrected:.6g}")
    return {"strict": found.word, "p": found.p, "p_holm": corrected}


def _row(statement: Statement) -> dict[str, Any]:
    record, found = statement.record, statement.grade
    claims = record["claims"]
    seeds = sorted({claim["seeds"] for claim in claims})
    return {
        **record,
        "word": found.text,
        "kind": kind(found.word),
        "order": ORDER.index(found.word) - found.holding / (found.claims + 1),
        "strict": statement.strict.word,
        "strict_kind": kind(statement.strict.word),
        "p": probability(statement.strict.corrected),
        "corrected": statement.strict.corrected,
        "listed": [_claim(claim) for claim in claims],
        "many": len(record["conditions"]) > 1,
        "conditions": [describe_conditions(condition) for condition in record["conditions"]],
        "seeds": " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1])))),
        "most": seeds[-1],
    }


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    effect = Estimate(claim["effect"], (claim["high"] - claim["low"]) / 2, claim["seeds"])
    shown = difference(effect, claim["share"], " points" if claim["share"] else "")
    needed = seeds_needed(claim["needed"]) if claim["word"] == OPEN else ""
    return {**claim, "effect": shown, "kind": kind(claim["word"]), "needed": needed}


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
    return {HOLDS: "hold", IN_PART: "hold in part", FAILS: "do not hold"}.get(word, word)
