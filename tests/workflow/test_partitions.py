"""The partitions of a Slurm cluster: where jobs may go, and limits that are refused."""

from types import SimpleNamespace

import pytest
from snakemake.resources import Resources
from snakemake_executor_plugin_slurm import ExecutorSettings

from unlabel.errors import UserError
from unlabel.workflow.engine import partitions

BOTH = "partitions: {cpu: {}, gpu: {max_gpu: 2}, shared: {max_gpu: 2}, more: {max_gpu: 2}}"


@pytest.mark.parametrize(
    ("file", "named", "chosen"),
    [
        (BOTH, "", ["more", "shared"]),
        (BOTH, "shared", ["shared"]),
        (BOTH, "'shared'", ["shared"]),
        (BOTH, "gpu", []),
        (BOTH, "'shared' if threads > 4 else 'gpu'", []),  # known for each job alone
        ("partitions: {cpu: {}, gpu: {max_gpu: 2}}", "", []),
        ("partitions: {shared: {}}", "", []),  # where it has no GPU
        (None, "", []),
        (None, "shared", ["shared"]),
    ],
)
def test_shards_are_asked_for_only_where_jobs_may_go(tmp_path, file, named, chosen):
    settings = ExecutorSettings()
    if file:
        (tmp_path / "partitions.yaml").write_text(file)
        settings.partition_config = tmp_path / "partitions.yaml"
    words = [f"slurm_partition={named}"] if named else []
    rule = Resources.parse(words, allow_expressions=True, defaults="bare")
    rule["gres"] = lambda wildcards: wildcards.gres
    other = Resources.parse(["mem_mb=8000"], allow_expressions=True)
    rules = [SimpleNamespace(resources=each) for each in (rule, other)]
    workflow = SimpleNamespace(rules=rules, executor_settings=settings)
    assert partitions.send(workflow, "shard:", {"shared", "more", "idle"}) == chosen
    assert "slurm_partition" not in other
    if named or not chosen:
        assert [each.raw for name, each in rule.items() if name == "slurm_partition"] == (
            [named] if named else []
        )
        return
    for asked, where in (("shard:1", "shared,more"), ("gpu:1", None), (None, None)):
        assert rule["slurm_partition"].evaluate(SimpleNamespace(gres=asked)).value == where


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("partitions: {cpu: {max_thread: 8}}", "unknown limit 'max_thread' .*'max_threads'"),
        ("partitions: {cpu: {max_mem_mb: much}}", "'max_mem_mb' .* is 'much', but must be a num"),
        ("partitions: {1: {}}", "the partition 1 in .* is no text"),
        ("partitions: {cpu: 8}", "does not name partitions"),
        ("partitions: [cpu]", "does not name partitions"),
        ("cpu: {}", "does not name partitions"),
        ("partitions: {", "does not name partitions"),
    ],
)
def test_limits_that_the_plugin_could_not_read_are_refused(tmp_path, limits, said):
    file = tmp_path / "partitions.yaml"
    file.write_text(limits)
    with pytest.raises(UserError, match=said) as error:
        partitions.limits_of(file)
    assert str(file) in str(error.value)
    file.write_text("partitions: {gpu: {cluster: a, max_runtime: 2d, max_gpu: 2}, cpu: {}}")
    assert partitions.limits_of(file)["gpu"]["max_gpu"] == 2
