# The page of each method of the study that is built: reports/method/simclr.html
def shown(method):
    """The runs on a method's page: its own, and the untrained ones it is compared with."""
    return [run for run in RUNS if run.method in (method, BASELINE)]


def portrayed(method):
    """The runs of the first seed: of these alone the page shows what they have learned."""
    first = min(STUDY.seeds)
    return [run for run in shown(method) if run.seed == first]


rule method:
    input:
        lambda wildcards: files_of(
            shown(wildcards.method), "run.json", "log.parquet", *METRICS
        ),
        lambda wildcards: files_of(
            portrayed(wildcards.method),
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
        mem_mb=jobs.more(4000),
        runtime=jobs.more(30),
    params:
        plan=lambda wildcards: PLAN.page(STUDY, BUDGET, wildcards.method),
    shell:
        "python -m unlabel method --params {params.plan[settings]:q} --runs data/runs"
        " --prepared data/prepared --page {output.page:q} 2> {log:q}"
