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
    threads: 1
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu(),
        mem_mb=doubled(8000),
        runtime=doubled(240),
    params:
        plan=PLAN.parameters("finetune"),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel finetune"
        " --params {params.plan[settings]:q}"
        " --encoder {input.encoder:q} --train {input.train:q}"
        " --validation {input.validation:q} --test {input.test:q} --out {output:q} 2> {log:q}"
