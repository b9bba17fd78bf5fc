"""What a dry run says: how many jobs of each rule there are, why, and of which runs."""

from collections.abc import Iterable, Sequence

from unlabel.workflow.engine.planned_jobs import Job, is_training

SHOWN = 4  # names of methods in a line
LINES = 40  # of reasons
MORE = "add -p to see each job with its files and its command"


def summary(jobs: Iterable[Job]) -> str:
    """A line for each rule and reason, with the number of jobs and the methods they are of."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        if job.reasons:
            groups.setdefault(
                ("pretrain" if is_training(job.rule) else job.rule, "; ".join(job.reasons)), []
            ).append(job)
    rows = [(str(len(each)), rule, reason + _of(each)) for (rule, reason), each in groups.items()]
    if len(rows) > LINES:
        rows = [*rows[:LINES], ("", "", f"and {len(rows) - LINES} more reasons")]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"  {n:>{widths[0]}} {rule:{widths[1]}}  {why}" for n, rule, why in rows]
    return "\n".join([f"jobs to do: {sum(map(len, groups.values()))}", *lines, MORE])


def _of(jobs: Sequence[Job]) -> str:
    names = [name for name in dict.fromkeys(job.about for job in jobs) if name]
    shown = ", ".join(names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f" ({shown}{more})" if names else ""
