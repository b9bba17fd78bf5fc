"""Rounds of damaged files, and what came of them."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.isolate import Finding, tried
from fuzz.targets import TARGETS

ROUND = 100  # inputs of a reader before it is the next one's turn


@dataclass(frozen=True)
class Counts:
    """Of one reader."""

    tried: int = 0
    refused: int = 0
    seconds: float = 0
    memory: int = 0  # bytes, the most that a process held
    findings: list[Finding] = field(default_factory=list)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.tried + other.tried,
            self.refused + other.refused,
            self.seconds + other.seconds,
            max(self.memory, other.memory),
            self.findings + other.findings,
        )


def main(arguments: Sequence[str]) -> int:
    """As `python tests/fuzz --help` says; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz")
    parser.add_argument("names", nargs="*", metavar="READER", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--one", type=int, metavar="NUMBER", help="try this input alone")
    parser.add_argument("--record", type=Path, help="where to write the counts, as Markdown")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - set(TARGETS):
        parser.error(f"unknown reader {min(unknown)}; known are {', '.join(TARGETS)}")
    names = asked.names or list(TARGETS)
    if asked.one is not None:
        with TemporaryDirectory() as folder:
            target = TARGETS[names[0]]
            print(target.refuses(target.content(names[0], asked.one), Path(folder)))
        return 0
    counts = {name: Counts() for name in names}
    until, first = time.monotonic() + 60 * asked.minutes, asked.first
    while time.monotonic() < until:
        for name in names:
            counts[name] += round_(name, range(first, first + ROUND))
        first += ROUND
    said = report(counts, asked.minutes)
    print(said)
    if asked.record:
        asked.record.write_text(said + "\n", encoding="utf-8")
    return int(any(each.findings for each in counts.values()))


def round_(name: str, numbers: range) -> Counts:
    """Try the inputs of these numbers on one reader."""
    target, began = TARGETS[name], time.monotonic()
    with TemporaryDirectory(prefix="unlabel-fuzz-") as made:
        folder = Path(made).resolve()

        def call(number: int) -> bool:
            return target.refuses(target.content(name, number), folder)

        for each in TARGETS.values():  # made once, and not in each process
            each.corpus()
        found = tried(call, numbers, folder)
    return Counts(
        found.count, found.refused, time.monotonic() - began, found.memory, found.findings
    )


def report(counts: dict[str, Counts], minutes: float) -> str:
    """A table of all readers, and each kind of finding with the first of its numbers."""
    heads = ("reader", "inputs", "refused", "read", "seconds", "memory, MiB", "findings")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, each in counts.items():
        rows.append(
            f"| {name} | {each.tried:,} | {each.refused:,} | "
            f"{each.tried - each.refused - len(each.findings):,} | {each.seconds:.0f} | "
            f"{each.memory >> 20:,} | {len(each.findings)} |"
        )
    total = sum(each.tried for each in counts.values())
    rows.append(f"\n{total:,} inputs in {minutes:g} minutes")
    for name, each in counts.items():
        kinds: dict[str, list[int]] = {}
        for finding in each.findings:
            kinds.setdefault(finding.what, []).append(finding.number)
        rows += [f"{name} {n[0]} ({len(n)} times): {what}" for what, n in sorted(kinds.items())]
    return "\n".join(rows)
