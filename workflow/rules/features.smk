rule features:
    input:
        encoder=f"{RUN}/encoder.safetensors",
        method=f"{RUN}/method.safetensors",
        train=f"{PREPARED}/train.arrow",
        validation=f"{PREPARED}/validation.arrow",
        test=f"{PREPARED}/test.arrow",
    output:
        features=f"{RUN}/features.parquet",
        views=f"{RUN}/views.parquet",
    log:
        "logs/features/{budget}-{dataset}-{method}-{variant}-{seed}.log",
    threads: REQUESTS.threads("features")
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu("features"),
        node_gpus=REQUESTS.node_gpus("features"),
        gpu_slots=REQUESTS.gpu_slots("features"),
        gres=REQUESTS.gres("features"),
        mem_mb=doubled(8000),
        runtime=doubled(60),
    params:
        plan=PLAN.parameters("features"),
    shell:
        "UNLABEL_GPUS={resources.node_gpus:q} UNLABEL_GPU_SLOTS={resources.gpu_slots:q} "
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel features"
        " --params {params.plan[settings]:q}"
        " --encoder {input.encoder:q} --method {input.method:q} --train {input.train:q}"
        " --validation {input.validation:q} --test {input.test:q}"
        " --out {output.features:q} --views {output.views:q} 2> {log:q}"
