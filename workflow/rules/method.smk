# A page for each method of the study: reports/method/simclr.html
rule method:
    input:
        lambda wildcards: files_of(
            shown(RUNS, wildcards.method), "run.json", "log.parquet", *METRICS
        ),
        # what the encoders have learned is shown for the first seed only
        lambda wildcards: files_of(
            shown(RUNS, wildcards.method, min(STUDY.seeds)),
            "params.yaml",
            "pictures.parquet",
            "features.parquet",
            "views.parquet",
        ),
        expand(
            "data/prepared/{dataset}/{split}.arrow",
            dataset=STUDY.datasets,
            split=["train", "test"],
        ),
    output:
        page=report(
            "reports/method/{method}.html",
            caption="../report/method.rst",
            category="Methods",
            labels={"method": "{method}"},
        ),
    log:
        "logs/method/{method}.log",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=doubled(
            lambda wildcards: REQUESTS.memory.page(
                4000, shown(RUNS, wildcards.method, min(STUDY.seeds))
            )
        ),
        runtime=doubled(30),
    params:
        plan=lambda wildcards: PLAN.page(STUDY, BUDGET, wildcards.method),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel method"
        " --params {params.plan[settings]:q} --runs data/runs"
        " --prepared data/prepared --page {output.page:q} 2> {log:q}"
