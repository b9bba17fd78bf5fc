"""How often Snakemake looks for jobs to start."""

from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

DEFAULT = MaxJobsPerTimespan.parse_choice("100/1s")  # of its command line


def without_timers(settings: SchedulingSettings | None) -> None:
    """Let Snakemake look for jobs when one has ended, and not every second besides.

    With a limit of jobs per second, each look sets a timer for another one, as the limit may be
    over by then. So each job that ends adds a look every second for as long as some job waits:
    after 100 jobs there are 100 a second. A limit that somebody has chosen is kept.
    """
    limit = settings and settings.max_jobs_per_timespan
    if settings and limit and vars(limit) == vars(DEFAULT):
        settings.max_jobs_per_timespan = None
