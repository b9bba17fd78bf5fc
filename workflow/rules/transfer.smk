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
    threads: 1
    resources:
        in_turn=1,
        gpu=REQUESTS.gpu(),
        mem_mb=doubled(8000),
        runtime=doubled(60),
    params:
        plan=PLAN.parameters("transfer"),
    shell:
        "UNLABEL_CODE={params.plan[code]:q} python -m unlabel transfer"
        " --params {params.plan[settings]:q}"
        " --encoder {input.encoder:q} --train {input.train:q}"
        " --validation {input.validation:q} --test {input.test:q} --out {output:q} 2> {log:q}"
