"""Say which runs the next look at a study needs."""

from pathlib import Path

from unlabel import files
from unlabel.analysis import frozen_study
from unlabel.analysis.in_turn import judge_in_turn


def run(params: Path, runs: Path, seeds: int, out: Path) -> None:
    """Judge a study after so many seeds, and write which runs its open claims need next.

    Args:
        params: the frozen settings of the study, a YAML file
        runs: the folder of all runs, such as data/runs
        seeds: the number of seeds at this look
        out: the JSON file to write

    Raises:
        UserError: if a run is missing or damaged
    """
    found = judge_in_turn(frozen_study.read(params), runs, until=seeds)
    following = dict.fromkeys(each.run.folder for each in found.following)
    files.write_json(out, {"settings": params.stem, "following": list(following)})
