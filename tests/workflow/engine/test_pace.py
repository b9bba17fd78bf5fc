"""Snakemake looks for jobs when one has ended, and not every second besides."""

from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from support.project import snakemake
from support.versions import replace
from unlabel.workflow.engine import pace

RUNS = "data/runs/tiny/digits"


def test_a_limit_that_somebody_has_chosen_is_kept():
    chosen = MaxJobsPerTimespan.parse_choice("5/1m")
    for limit, kept in ((chosen, chosen), (pace.DEFAULT, None), (None, None)):
        settings = SchedulingSettings(max_jobs_per_timespan=limit)
        pace.without_timers(settings)
        assert settings.max_jobs_per_timespan is kept
    pace.without_timers(None)  # as of a look that schedules nothing


def test_with_jobs_that_wait_it_looks_once_a_job(copy):
    stage = copy / "ssl/unlabel/stage/pretrain.py"
    replace(stage, "import torch\n", "import time\n\nimport torch\n\ntime.sleep(1.1)\n")
    targets = [f"{RUNS}/random/base/{seed}/encoder.safetensors" for seed in (1, 2, 3)]
    said = snakemake(copy, "--cores", "1", "--verbose", *targets)
    assert said.count("Ready jobs: ") <= len(targets) + 1, said
