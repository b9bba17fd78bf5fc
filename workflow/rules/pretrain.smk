# One rule per method (pretrain_simclr, ...), so that a cluster profile can treat each on its own.
for method in compose.names(PARAMS, "method"):
    folder = RUN.replace("{method}", method)

    rule:
        name:
            f"pretrain_{method}"
        input:
            train=f"{PREPARED}/train.arrow",
        output:
            params=f"{folder}/params.yaml",
            encoder=f"{folder}/encoder.safetensors",
            method=f"{folder}/method.safetensors",
            log=f"{folder}/log.parquet",
            pictures=f"{folder}/pictures.parquet",
            about=f"{folder}/run.json",
        log:
            f"logs/pretrain/{method}/{{budget}}-{{dataset}}-{{variant}}-{{seed}}.log",
        threads: PLAN.processes(method=method)
        resources:
            gpu=PLAN.processes(GPUS, method=method),
            mem_mb=doubled(PLAN.processes(8000, method=method)),
            runtime=1440,  # a new attempt continues where the last one ended
        params:
            plan=PLAN.parameters("pretrain", method=method),
            out=subpath(output.about, parent=True),
            # no output: Snakemake deletes the outputs of a failed job
            state=PLAN.state(method=method),
        shell:
            "UNLABEL_CODE={params.plan[code]} python -m unlabel pretrain"
            " --params {params.plan[settings]:q} --train {input.train:q}"
            " --state {params.state:q} --out {params.out:q} 2> {log:q}"
