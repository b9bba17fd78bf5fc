"""Snakemake's graph, built sooner: it is the one that Snakemake builds."""

import re

from support.project import STUDY, project, snakemake

ASKED = (
    "all",
    "data/runs/quick/digits/simclr/method.temperature=0.5/1/metrics/knn.json",  # of another budget
    "data/runs/tiny/digits/simclr/base/0/transfer/shapes.json",
    "reports/study/test.html",
    "reports/metrics.json",
)


def test_the_same_jobs_with_the_same_inputs_for_the_same_reasons(tmp_path):
    folder = project(tmp_path, STUDY | {"seeds": [0, 1]})
    sooner = described(snakemake(folder, "-n", *ASKED))
    snakefile = folder / "Snakefile"
    text = snakefile.read_text()
    assert "dag.hasten()\n" in text
    snakefile.write_text(text.replace("dag.hasten()\n", ""))
    assert sooner == described(snakemake(folder, "-n", *ASKED))
    assert len(sooner) > 30
    # a page asks for what it shows: features of the first seed alone, and metrics of all
    asked = set().union(*sooner["method", "    log: logs/method/simclr.log"])
    runs = "data/runs/tiny/digits/simclr/base"
    assert {f"{runs}/0/features.parquet", f"{runs}/1/metrics/knn.json"} <= asked
    assert f"{runs}/1/features.parquet" not in asked


def described(printed: str) -> dict[tuple[str, str], list[set[str]]]:
    """Of each job that is printed, by its rule and log, the files and reasons in no order."""
    jobs = re.findall(r"^rule (\w+):\n((?:    .+\n)+)", printed, re.MULTILINE)
    lines = [
        (rule, [line for line in text.splitlines() if "jobid:" not in line]) for rule, text in jobs
    ]
    return {
        (rule, next((line for line in job if "log:" in line), "")): [
            set(re.split(r"[,;:] ", line.strip())) for line in job
        ]
        for rule, job in lines
    }
