"""The jobs of a run: which are running, how many are done, how long the rest will take."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

TAIL = 2000  # bytes of a log that are read for its last line
NOTES = 20_000  # and for its notes
PROGRESS = re.compile(r"(\d+)% · ([\d,]+ images/s) · (\d+) s left")  # as a training logs it
LINES = 15  # of a log without an error sentence
ADDED = "other"  # jobs that a checkpoint has added, until they start


@dataclass(frozen=True)
class Job:
    """One that is running, or is in a cluster's queue."""

    rule: str
    about: str  # its run, or what else tells it from others of the rule
    logs: tuple[Path, ...]
    began: float  # seconds
    page: str = ""  # that it makes

    @classmethod
    def of(
        cls,
        rule: str,
        outputs: Sequence[str],
        wildcards: Mapping[str, str],
        logs: Sequence[str],
        now: float,
    ) -> "Job":
        """From what Snakemake says when a job starts."""
        parts = str(outputs[0]).split("/") if outputs else []
        run = parts[2:7] if parts[:2] == ["data", "runs"] else list(map(str, wildcards.values()))
        run += [str(wildcards["own"])] if "own" in wildcards else []  # a probe on request
        pages = [str(each) for each in outputs if str(each).endswith(".html")]
        return cls(kind(rule), "/".join(run), tuple(map(Path, logs)), now, *pages[:1])

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.rule} {self.about}".strip()

    def progress(self) -> tuple[int, str, int] | None:
        """How far a training is, as its log says: per cent, images/s, and seconds left."""
        found = [each for log in self.logs for each in PROGRESS.findall(_tail(log))]
        return (int(found[-1][0]), found[-1][1], int(found[-1][2])) if found else None

    def notes(self) -> list[str]:
        """What people should know of it, as its log says in lines that begin with `note: `."""
        lines = self._lines(NOTES)
        return [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]

    def error(self) -> list[str]:
        """The sentence that the job ended with, or else the last lines of its log."""
        lines = self._lines(TAIL)
        sentences = [line for line in lines if line.startswith("error: ")]
        return sentences[-1:] or lines[-LINES:]

    def _lines(self, most: int) -> list[str]:
        """The last lines of its logs, as a terminal can show them."""
        return [_shown(line) for log in self.logs for line in _tail(log, most).splitlines()]


def kind(rule: str) -> str:
    """A rule's name; all trainings are of one kind, though each method has a rule."""
    return "pretrain" if rule.startswith("pretrain_") else rule


@dataclass
class Jobs:
    """All jobs of a run, by Snakemake's numbers."""

    planned: Counter[str] = field(default_factory=Counter)  # by kind
    running: dict[int, Job] = field(default_factory=dict)
    failed: dict[int, Job] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=dict)  # seconds, by kind
    page: str = ""  # the one that was made last
    said: int = 0  # Snakemake's count of all jobs

    def plan(self, counts: Mapping[str, int]) -> None:
        """Snakemake's count of jobs by rule; `all` is no work."""
        for rule, count in counts.items():
            if rule not in ("all", "total"):
                self.planned[kind(rule)] += count
        self.said += counts.get("total", 0)

    def grow(self, total: int) -> None:
        """Snakemake's count of all jobs, which a checkpoint makes larger."""
        self.planned[ADDED] += max(0, total - self.said)
        self.said = max(total, self.said)

    def start(self, number: int, job: Job) -> None:
        """A job is started or submitted."""
        self.running[number] = job
        here = sum(each.rule == job.rule for each in self.running.values())
        if here + len(self.took.get(job.rule, ())) > self.planned[job.rule] and self.planned[ADDED]:
            self.planned[ADDED] -= 1
            self.planned[job.rule] += 1

    def finish(self, number: int, now: float) -> tuple[Job, float] | None:
        """A job has ended well: it, and the seconds it took; None for one that is no work."""
        job = self.running.pop(number, None)
        self.failed.pop(number, None)  # an earlier attempt
        if job is None or job.rule == "all":
            return None
        self.took.setdefault(job.rule, []).append(now - job.began)
        self.page = job.page or self.page
        return job, now - job.began

    def fail(self, number: int, job: Job) -> None:
        """A job has failed; it may be tried again."""
        self.failed[number] = self.running.pop(number, job)

    @property
    def total(self) -> int:
        """How many there are."""
        return self.planned.total()

    @property
    def done(self) -> int:
        """How many have ended well."""
        return sum(map(len, self.took.values()))

    def left(self, now: float) -> float | None:
        """Seconds until all are done, if each takes as long as its kind did; None if unknown."""
        ahead = {each: job.progress() for each, job in self.running.items()}
        known = {each: mean(seconds) for each, seconds in self.took.items()}
        for number, job in self.running.items():
            if job.rule not in known and (progress := ahead[number]):
                known[job.rule] = now - job.began + progress[2]
        if not known:
            return None
        other = mean(known.values())  # of a kind that no job has finished yet
        running = Counter(job.rule for job in self.running.values())
        seconds = 0.0
        for each, count in self.planned.items():
            waiting = count - len(self.took.get(each, ())) - running[each]
            seconds += max(0, waiting) * known.get(each, other)
        for number, job in self.running.items():
            progress = ahead[number]
            rest = known.get(job.rule, other) - (now - job.began)
            seconds += progress[2] if progress else max(0.0, rest)
        return seconds / max(1, len(self.running))


def _shown(line: str) -> str:
    """A line with escapes for what a terminal would obey, such as in the name of a file."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in line.expandtabs()
    )


def _tail(log: Path, most: int = TAIL) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
