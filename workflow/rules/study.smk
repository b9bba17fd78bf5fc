from unlabel.workflow.planned_looks import LOOK
from unlabel.workflow.study_inputs import of_looks


# A study's claims are judged after its first seeds. Only the arms of open claims get more, and so on:
# what a look has found decides which runs come next.
checkpoint look:
    input:
        of_looks(PLAN, checkpoints, ASKED),
    output:
        LOOK,
    log:
        "logs/look/{budget}-{study}-{seeds}.log",
    wildcard_constraints:
        seeds=r"\d+",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=doubled(4000),
        runtime=doubled(30),
    params:
        plan=lambda wildcards: PLAN.study(wildcards.study, wildcards.budget, "look"),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel look"
        " --params {params.plan[settings]:q} --runs data/runs"
        " --seeds {wildcards.seeds:q} --out {output:q} 2> {log:q}"


# One study's page: snakemake reports/study/batch_size.html
rule study:
    input:
        of_looks(PLAN, checkpoints, ASKED),
    output:
        page=report(
            "reports/study/{study}.html",
            caption="../report/study.rst",
            category="Studies",
            labels={"study": "{study}", "form": "page"},
        ),
        record="reports/study/{study}.json",
        table=report(
            "reports/study/{study}.csv",
            caption="../report/study.rst",
            category="Studies",
            labels={"study": "{study}", "form": "table"},
        ),
        text="reports/study/{study}.md",
    log:
        "logs/study/{study}.log",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=doubled(4000),
        runtime=doubled(30),
    params:
        plan=lambda wildcards: PLAN.study(wildcards.study, ASKED),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel study"
        " --params {params.plan[settings]:q} --runs data/runs"
        " --page {output.page:q} --record {output.record:q} --table {output.table:q}"
        " --text {output.text:q} --made {params.plan[made]:q} 2> {log:q}"


rule statements:
    input:
        lambda wildcards: expand(
            "reports/study/{study}.json", study=PLAN.stated(ASKED)[0]
        ),
    output:
        page=report(
            "reports/statements.html",
            caption="../report/statements.rst",
            category="Studies",
            labels={"study": "all statements", "form": "page"},
        ),
        record="reports/statements.json",
        table=report(
            "reports/statements.csv",
            caption="../report/statements.rst",
            category="Studies",
            labels={"study": "all statements", "form": "table"},
        ),
        text="reports/statements.md",
    log:
        "logs/statements.log",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=doubled(4000),
        runtime=doubled(30),
    params:
        # only where it is asked for, as it plans the runs of all studies
        plan=lambda wildcards: PLAN.statements(ASKED),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel statements"
        " --params {params.plan[settings]:q} --records {input:q} --page {output.page:q}"
        " --record {output.record:q} --table {output.table:q} --text {output.text:q} 2> {log:q}"
