rule report:
    input:
        lambda wildcards: files_of(
            RUNS,
            "params.yaml",
            "run.json",
            "log.parquet",
            "pictures.parquet",
            *METRICS,
        ),
        expand(f"{PREPARED}/report.json", dataset=STUDY.datasets),
    output:
        page=report(
            "reports/index.html",
            caption="../report/leaderboard.rst",
            category="Leaderboard",
            labels={"form": "page"},
        ),
        results="reports/results.parquet",
        metrics=compared(RUNS),
        plots=multiext("reports/plots/", "leaderboard.csv", "training.csv"),
    log:
        "logs/report.log",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=doubled(4000),
        runtime=doubled(30),
    params:
        plan=INVOCATION.report,
        out=subpath(output.page, parent=True),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel report"
        " --params {params.plan[settings]:q} --runs data/runs"
        " --prepared data/prepared --out {params.out:q} 2> {log:q}"


# The page of what `make bench` has measured: snakemake reports/bench.html
rule bench:
    input:
        "reports/bench.json",
    output:
        report(
            "reports/bench.html",
            caption="../report/bench.rst",
            category="Benchmarks",
            labels={"form": "page"},
        ),
    log:
        "logs/bench.log",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=4000,
        runtime=30,
    params:
        plan=PLAN.bench(),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel bench"
        " --record {input:q} --page {output:q} 2> {log:q}"
