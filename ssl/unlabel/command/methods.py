"""List the methods, and what each needs."""

from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.params import compose, defaults
from unlabel.params.settings import target
from unlabel.params.written import load
from unlabel.report.terminal import aligned
from unlabel.run import BASE
from unlabel.units import DASH


def run(params: Path = Path("params")) -> None:
    """Print each method: its paper, its family, and what it needs.

    Args:
        params: the folder of all settings

    Raises:
        UserError: if there is no method, or a recipe is wrong
    """
    names = compose.names(params, "method")
    if not names:
        raise UserError(f"{params}/method has no recipes; name the folder with --params")
    rows = sorted((_row(params, name) for name in names), key=lambda row: (row[2], row[0]))
    head = ["method", "paper", "family", "views", "negatives", "momentum encoder", "labels"]
    print(aligned([list(column) for column in zip(head, *rows, strict=True)], left=4))


def _recipe(params: Path, name: str) -> dict[str, Any]:
    """A method's recipe; one that builds on another is composed, which takes longer."""
    recipe = load(params / "method" / f"{name}.yaml")
    if "_target_" in (recipe.get("method") or {}):
        return recipe
    datasets = compose.names(params, "dataset")  # any will do
    if not datasets:
        raise UserError(f"{params}/dataset has no recipes, but {name} builds on others; add one")
    return compose.settings(params, defaults.of_workflow(params)["budget"], datasets[0], name, BASE)


def _row(params: Path, name: str) -> list[str]:
    recipe = _recipe(params, name)
    about: dict[str, Any] = recipe.get("about") or {}
    paper = f"arXiv:{about['arxiv']}" if about.get("arxiv") else str(about.get("year") or DASH)
    labels = target(recipe["method"], f"{name}: method").labels
    return [
        name,
        paper,
        str(about.get("family", DASH)),
        str(about.get("views", DASH)),
        str(about.get("negatives", DASH)),
        "yes" if about.get("momentum_encoder") else "no",
        "yes" if labels else "no",
    ]
