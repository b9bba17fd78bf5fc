rule probe:
    input:
        features=f"{RUN}/features.parquet",
        views=f"{RUN}/views.parquet",
    output:
        expand(
            f"{RUN}/metrics/{{probe}}.json",
            probe=compose.probes(PARAMS),
            allow_missing=True,
        ),
    log:
        "logs/probe/{budget}-{dataset}-{method}-{variant}-{seed}.log",
    threads: REQUESTS.threads("probe")
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu("probe"),
        node_gpus=REQUESTS.node_gpus("probe"),
        gpu_slots=REQUESTS.gpu_slots("probe"),
        mem_mb=doubled(REQUESTS.memory.features(8000)),
        runtime=doubled(60),
    params:
        plan=PLAN.parameters("probe"),
        out=subpath(output[0], parent=True),
    shell:
        "UNLABEL_GPUS={resources.node_gpus:q} UNLABEL_GPU_SLOTS={resources.gpu_slots:q} "
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel probe"
        " --params {params.plan[settings]:q}"
        " --features {input.features:q} --views {input.views:q} --out {params.out:q} 2> {log:q}"
