rule transfer:
    input:
        encoder=f"{RUN}/encoder.safetensors",
        train="data/prepared/{target}/train.arrow",
        validation="data/prepared/{target}/validation.arrow",
        test="data/prepared/{target}/test.arrow",
    output:
        f"{RUN}/transfer/{{target}}.json",
    log:
        "logs/transfer/{budget}-{dataset}-{method}-{variant}-{seed}-{target}.log",
    threads: REQUESTS.threads("transfer")
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu("transfer"),
        node_gpus=REQUESTS.node_gpus("transfer"),
        gpu_slots=REQUESTS.gpu_slots("transfer"),
        gres=REQUESTS.gres("transfer"),
        mem_mb=doubled(REQUESTS.memory.features(8000)),
        runtime=doubled(60),
    params:
        plan=PLAN.parameters("transfer"),
    shell:
        "UNLABEL_GPUS={resources.node_gpus:q} UNLABEL_GPU_SLOTS={resources.gpu_slots:q} "
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel transfer"
        " --params {params.plan[settings]:q}"
        " --encoder {input.encoder:q} --train {input.train:q}"
        " --validation {input.validation:q} --test {input.test:q} --out {output:q} 2> {log:q}"
