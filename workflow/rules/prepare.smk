rule prepare:
    output:
        train=f"{PREPARED}/train.arrow",
        validation=f"{PREPARED}/validation.arrow",
        test=f"{PREPARED}/test.arrow",
        report=f"{PREPARED}/report.json",
    log:
        "logs/prepare/{dataset}.log",
    threads: REQUESTS.decoders
    resources:
        in_turn=1,
        mem_mb=doubled(4000),
        runtime=doubled(60),
    params:
        plan=lambda wildcards: PLAN.dataset(wildcards.dataset),
        raw="data/raw/{dataset}",
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel prepare"
        " --params {params.plan[settings]:q} --raw {params.raw:q}"
        " --train {output.train:q} --validation {output.validation:q} --test {output.test:q}"
        " --report {output.report:q} --workers {threads:q} 2> {log:q}"
