"""A job on another machine makes just the run that it was submitted for."""

import shlex
from types import SimpleNamespace

import pytest
from snakemake.target_jobs import parse_target_jobs_cli_args
from snakemake_interface_executor_plugins.utils import TargetSpec, encode_target_jobs_cli_args

from unlabel.errors import UserError
from unlabel.workflow.engine import target_jobs

RUN = {"budget": "tiny", "dataset": "digits", "variant": "base", "seed": "0", "target": "shapes"}


@pytest.mark.parametrize(
    "variant", ["base", "training.batch=32", "training.batch=32,encoder=vit_mini,optimizer.lr=1e-3"]
)
def test_a_job_is_told_its_whole_variant(variant):
    given = RUN | {"variant": variant}
    (told,) = shlex.split(encode_target_jobs_cli_args([TargetSpec("transfer", dict(given))])[0])
    settings = SimpleNamespace(target_jobs=parse_target_jobs_cli_args([told]))
    target_jobs.join(SimpleNamespace(dag_settings=settings))
    (spec,) = settings.target_jobs
    assert spec.wildcards_dict == given


def test_a_list_in_a_variant_is_refused_before_it_is_submitted():
    def workflow(variant):
        job = SimpleNamespace(output=["run.json"], wildcards_dict=RUN | {"variant": variant})
        return SimpleNamespace(dag=SimpleNamespace(needrun_jobs=lambda: [job]))

    target_jobs.check(workflow("training.batch=32,encoder=vit_mini"))
    with pytest.raises(UserError, match=r"run.json has a list in its variant.*--cores N run.json"):
        target_jobs.check(workflow("training.batch=32,method.augment.crop.scale=[0.8,1.0]"))
