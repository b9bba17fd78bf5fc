"""Snakemake's own records and internals; nothing else of the project touches them."""
