"""Say which published verdicts were made by older code or settings, and mark them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError
from unlabel.params.command_line import ChosenDataset
from unlabel.workflow.plan import Plan

MARK = "> **Made by older code or settings**"
STAGES = {"pretrain": "training", "probe": "probes", "finetune": "fine-tuning", "look": "judging"}


def run(params: Path = Path("params"), published: Path = Path("reports/published")) -> None:
    """Compare what made each published verdict with today's code and settings.

    The first lines of each Markdown file say so if they differ. A result is current if training,
    measuring and judging have the same settings and code as when it was made.

    Args:
        params: the folder of all settings
        published: the folder that `unlabel publish` copies to

    Raises:
        UserError: if a published file is damaged
    """
    texts, stale = dict[Path, str](), dict[str, str]()
    for path in sorted(published.glob("study/*.json")):
        if why := changed(files.read_json(path, "publish it again"), params):
            stale[path.stem] = why
        page = path.with_suffix(".md")
        texts[page] = marked(_text(page), f"{MARK}: {why}." if why else "")
        print(f"{path.stem}: {why or 'current'}")
    page = published / "statements.md"
    if page.exists():
        found = {path.stem for path in published.glob("verdict/*.json")}
        old = sorted(stale.keys() & found)
        which = f"{len(old)} of {len(found)} studies ({', '.join(old)})"
        said = f"{MARK}: {which if len(old) < len(found) else 'all studies'}."
        texts[page] = marked(_text(page), said if old else "")
    for each, text in texts.items():  # all were read before the first is written
        files.write_text(each, text)


def changed(record: Mapping[str, Any], params: Path) -> str:
    """What has changed since a published record was made, in words; empty if nothing has."""
    before = record.get("made", {}).get("fingerprints")
    if not before:
        return "it does not say which settings and code made it"
    conditions = record["conditions"]
    try:
        plan, name, budget = _plan(params, ""), record["name"], conditions[0]["budget"]
        if [each["dataset"] for each in conditions] != plan.frozen_study(name, budget)["datasets"]:
            plan = _plan(params, conditions[0]["dataset"])
        now = plan.made(name, budget)
    except UserError as error:
        return f"it cannot be made any more ({error})"
    differ = [stage for stage in {**before, **now} if before.get(stage) != now.get(stage)]
    names = ", ".join(STAGES.get(stage, stage) for stage in differ)
    return f"settings or code of {names} have changed since" if names else ""


@cache
def _plan(params: Path, dataset: str) -> Plan:
    return Plan.current(params, chosen=ChosenDataset(dataset))


def marked(text: str, mark: str) -> str:
    """A Markdown text that begins with `mark`, and with no older one."""
    if text.startswith(MARK):
        text = text.partition("\n")[2].lstrip("\n")
    return f"{mark}\n\n{text}" if mark else text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read; publish it again") from error
