rule finetune:
    input:
        encoder=f"{RUN}/encoder.safetensors",
        train=f"{PREPARED}/train.arrow",
        validation=f"{PREPARED}/validation.arrow",
        test=f"{PREPARED}/test.arrow",
    output:
        f"{RUN}/metrics/finetune.json",
    log:
        "logs/finetune/{budget}-{dataset}-{method}-{variant}-{seed}.log",
    threads: REQUESTS.threads("finetune")
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu("finetune"),
        node_gpus=REQUESTS.node_gpus("finetune"),
        gpu_slots=REQUESTS.gpu_slots("finetune"),
        gres=REQUESTS.gres("finetune"),
        mem_mb=doubled(8000),
        runtime=doubled(240),
    params:
        plan=PLAN.parameters("finetune"),
    shell:
        "UNLABEL_GPUS={resources.node_gpus:q} UNLABEL_GPU_SLOTS={resources.gpu_slots:q} "
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel finetune"
        " --params {params.plan[settings]:q}"
        " --encoder {input.encoder:q} --train {input.train:q}"
        " --validation {input.validation:q} --test {input.test:q} --out {output:q} 2> {log:q}"
