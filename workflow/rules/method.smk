# The page of each method of the study that is built: reports/method/simclr.html
rule method:
    input:
        lambda wildcards: expand(
            "data/runs/{run}/{file}",
            run=[r.folder for r in RUNS if r.method in (wildcards.method, BASELINE)],
            file=["params.yaml", "run.json", "log.parquet", "pictures.parquet"]
            + ["features.parquet", "views.parquet"]
            + [f"metrics/{probe}.json" for probe in PROBES + ["finetune"]],
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
        mem_mb=jobs.more(4000),
        runtime=jobs.more(30),
    params:
        plan=lambda wildcards: PLAN.page(STUDY, BUDGET, wildcards.method),
    shell:
        "python -m unlabel method --params {params.plan[settings]:q} --runs data/runs"
        " --prepared data/prepared --page {output.page:q} 2> {log:q}"
