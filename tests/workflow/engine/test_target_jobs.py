"""A job on another machine makes just the run that it was submitted for."""

import shlex

from snakemake.target_jobs import parse_target_jobs_cli_args
from snakemake_interface_executor_plugins.utils import TargetSpec, encode_target_jobs_cli_args

from support.models import PARAMS
from unlabel.params import compose, study


def test_a_job_is_told_the_whole_run():
    names = compose.names(PARAMS, "study")
    runs = {run for name in names for _, run in study.read(PARAMS, name).runs(PARAMS, "tiny")}
    assert any("[" in run.variant for run in runs)
    for variant in {run.variant for run in runs}:
        given = {"budget": "tiny", "variant": variant, "seed": "0", "target": "shapes"}
        (told,) = shlex.split(encode_target_jobs_cli_args([TargetSpec("transfer", dict(given))])[0])
        (spec,) = parse_target_jobs_cli_args([told])
        assert spec.wildcards_dict == given
