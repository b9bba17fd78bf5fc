"""A run that fails costs the leaderboard nothing but its own row."""

import pandas as pd

from support.project import planned, snakemake


def test_the_leaderboard_is_made_without_a_run_that_fails_and_names_it(copy):
    page, recipe = copy / "reports/index.html", copy / "params/method/rotation.yaml"
    kept = recipe.read_text()
    recipe.write_text(f"{kept}optimizer:\n  lr: 1e+30\n")
    printed = snakemake(copy, "--cores", "2", fails=True)
    assert "reports/index.html is the leaderboard without rotation, and says why" in printed
    assert printed.splitlines()[-1].startswith("error: Rotation: ")
    said = page.read_text()
    assert "Left out: rotation (seed 0). The reason: Rotation: " in said
    assert "the training diverged" in said
    table = pd.read_parquet(copy / "reports/results.parquet")
    assert set(table.method) == {"random", "simclr"}
    recipe.write_text(kept)
    assert planned(copy)["report"] == 1  # with all runs again
