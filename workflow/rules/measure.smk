# A probe on request: snakemake data/runs/.../metrics/retrieval.json, or --config probes=retrieval
rule measure:
    input:
        encoder=f"{RUN}/encoder.safetensors",
        features=f"{RUN}/features.parquet",
        views=f"{RUN}/views.parquet",
        train=f"{PREPARED}/train.arrow",
        validation=f"{PREPARED}/validation.arrow",
        test=f"{PREPARED}/test.arrow",
        masks=PLAN.measured("masks"),
        others=PLAN.measured("others"),
    output:
        f"{RUN}/metrics/{{own}}.json",
    log:
        "logs/measure/{budget}-{dataset}-{method}-{variant}-{seed}-{own}.log",
    wildcard_constraints:
        own="|".join(compose.own_probes(PARAMS)) or "(?!)",
    threads: REQUESTS.threads("measure")
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu("measure"),
        node_gpus=REQUESTS.node_gpus("measure"),
        gpu_slots=REQUESTS.gpu_slots("measure"),
        gres=REQUESTS.gres("measure"),
        mem_mb=doubled(REQUESTS.memory.features(8000)),
        runtime=doubled(120),
    params:
        plan=PLAN.measure,
    shell:
        "UNLABEL_GPUS={resources.node_gpus:q} UNLABEL_GPU_SLOTS={resources.gpu_slots:q} "
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel measure"
        " --params {params.plan[settings]:q} --encoder {input.encoder:q}"
        " --features {input.features:q} --views {input.views:q} --train {input.train:q}"
        " --validation {input.validation:q} --test {input.test:q}"
        " --masks {input.masks:q} --others {input.others:q} --out {output:q} 2> {log:q}"


# The class of each pixel, where a dataset knows it.
rule masks:
    output:
        f"{PREPARED}/masks.arrow",
    log:
        "logs/masks/{dataset}.log",
    threads: 1
    resources:
        in_turn=1,
        mem_mb=doubled(4000),
        runtime=doubled(60),
    params:
        plan=lambda wildcards: PLAN.masks(wildcards.dataset),
        raw="data/raw/{dataset}",
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel masks"
        " --params {params.plan[settings]:q} --raw {params.raw:q} --out {output:q} 2> {log:q}"
