"""Trainings that are planned only because their images are prepared again.

Snakemake makes again whatever lies after a job that it has chosen, before it knows what that job
will write. In a later call it compares the files, and finds that the same images change nothing.
"""

from collections.abc import Iterable

from unlabel.errors import UserError
from unlabel.params.looks import MADE, Asked
from unlabel.workflow.engine.planned_jobs import Job
from unlabel.workflow.engine.reasons import INPUTS

REPORT = "data/prepared/{}/report.json"


def advice(jobs: Iterable[Job]) -> str:
    """How to spare such trainings; empty if there are none."""
    jobs = list(jobs)
    sets = {job.about for job in jobs if job.rule == "prepare" and job.reasons}
    spared = [job for job in jobs if _waits(job) and job.run and job.run.dataset in sets]
    if not spared:
        return ""
    files = " ".join(sorted({REPORT.format(job.run.dataset) for job in spared if job.run}))
    many = "1 training is" if len(spared) == 1 else f"{len(spared)} trainings are"
    return (
        f"{many} done again only because the images are prepared again. If these may come out the "
        f"same, make {files} first, in a call of its own: trainings on the same images are kept"
    )


def check(looks: Asked, jobs: Iterable[Job]) -> None:
    """Raise `UserError` if a call that trains nothing has chosen trainings."""
    jobs = list(jobs)
    chosen = [job for job in jobs if job.trains]
    if looks != MADE or not chosen:
        return
    first, said = chosen[0], advice(jobs)
    raise UserError(
        f"looks={MADE} trains nothing, but {len(chosen)} of the runs would be trained, such as "
        f"{first.run.folder if first.run else first.about}: {', '.join(first.reasons)}"
        + (f". {said[0].upper()}{said[1:]}" if said else "")
    )


def _waits(job: Job) -> bool:
    return job.trains and job.reasons == (INPUTS,)
