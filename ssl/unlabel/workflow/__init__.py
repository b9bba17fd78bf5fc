"""From `params/` to the jobs that Snakemake, DVC and Slurm run."""
