# One rule per method (pretrain_simclr, ...), so that a cluster profile can treat each on its own.
for method in compose.names(PARAMS, "method"):
    folder = RUN.replace("{method}", method)

    rule:
        name:
            f"pretrain_{method}"
        input:
            train=f"{PREPARED}/train.arrow",
            validation=PLAN.monitored(method=method),
            weights=PLAN.weights(method=method),
        output:
            params=f"{folder}/params.yaml",
            encoder=f"{folder}/encoder.safetensors",
            method=f"{folder}/method.safetensors",
            log=f"{folder}/log.parquet",
            pictures=f"{folder}/pictures.parquet",
            about=f"{folder}/run.json",
        log:
            f"logs/pretrain/{method}/{{budget}}-{{dataset}}-{{variant}}-{{seed}}.log",
        threads: REQUESTS.threads("pretrain", method=method)
        resources:
            in_turn=1,
            gpu=REQUESTS.gpu("pretrain", method=method),
            node_gpus=REQUESTS.node_gpus("pretrain", method=method),
            gpu_slots=REQUESTS.gpu_slots("pretrain", method=method),
            local_copy=REQUESTS.local_copy(method=method),
            gres=REQUESTS.gres("pretrain", method=method),
            # of a training on several machines: Slurm starts its processes (MPI is not used)
            nodes=REQUESTS.nodes(method=method),
            tasks=REQUESTS.nodes(method=method),
            tasks_per_gpu=REQUESTS.nodes(0, method=method),
            mpi=REQUESTS.nodes("srun", method=method),
            mem_mb=doubled(REQUESTS.processes(8000, method=method)),
            runtime=REQUESTS.training_minutes(method=method),
        params:
            plan=PLAN.parameters("pretrain", method=method),
            out=subpath(output.about, parent=True),
            # no output: Snakemake deletes the outputs of a failed job
            state=PLAN.state(method=method),
            # a function of the input too, so that no training is done again for it
            seen=PLAN.seen(method=method),
        shell:
            "UNLABEL_GPUS={resources.node_gpus:q} UNLABEL_GPU_SLOTS={resources.gpu_slots:q} "
            "UNLABEL_LOCAL_COPY={resources.local_copy:q} "
            "UNLABEL_CODE={params.plan[code]:q} python -m unlabel pretrain"
            " --params {params.plan[settings]:q} --train {input.train:q}"
            " --state {params.state:q} --out {params.out:q} {params.seen:q} 2> {log:q}"
