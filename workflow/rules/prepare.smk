rule prepare:
    output:
        multiext(f"{PREPARED}/", "train.arrow", "validation.arrow", "test.arrow"),
    log:
        "logs/prepare/{dataset}.log",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        plan=lambda wildcards: PLAN.dataset(wildcards.dataset),
        raw="data/raw/{dataset}",
    shell:
        "python -m unlabel prepare --params {params.plan[settings]:q} --raw {params.raw:q}"
        " --train {output[0]:q} --validation {output[1]:q} --test {output[2]:q} 2> {log:q}"
