"""Settings frozen in files that are named by their content."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from unlabel import files
from unlabel.errors import UserError
from unlabel.fingerprint import fingerprint, targets
from unlabel.params.settings import Settings

Stage = dict[str, Any]  # a stage's frozen "settings", a file, and the "targets" that they name
Entries = dict[str, dict[str, Stage]]  # the stages of each run, dataset, study and report


@dataclass(frozen=True)
class Freezer:
    """A folder for frozen settings; a job of a workflow adds none."""

    folder: Path
    main: bool = True

    def freeze(self, settings: Settings) -> Stage:
        """Write settings into a file that is named by its content."""
        return self.write(as_yaml(settings), targets_of(settings))

    def write(self, text: str, targets: list[str]) -> Stage:
        """Write settings that are YAML already, and name these targets.

        Raises `UserError` in a job: nobody has planned them, nor the code that reads them.
        """
        if not self.main:
            raise UserError("this job is not in the plan of its workflow; start again")
        path = self.folder / f"{digest(text.encode())}.yaml"
        if not is_whole(path):
            # There may be thousands, and the disk takes a millisecond or more for each. A power cut
            # ends the workflow too, and the next one checks that each is what its name says.
            files.write_text(path, text, durable=False)
        return {"settings": str(path), "targets": targets}


def parameters(stages: Mapping[str, Stage], name: str) -> dict[str, str]:
    """What the rule of a stage depends on: its frozen settings, and its code's fingerprint.

    The first word of `name` is the stage.
    """
    known = stages[name]
    if "code" not in known:
        stage = name.partition(" ")[0]
        known["code"] = fingerprint(f"unlabel.stage.{stage}", *known["targets"])
    return {"settings": known["settings"], "code": known["code"]}


def add_code(entries: Entries) -> None:
    """Add the fingerprint of each stage's code to a plan that is to be kept.

    A job on another machine then plans with it, and not with the code as it is by then.
    """
    for stages in entries.values():
        for name, known in stages.items():
            if "settings" in known:
                parameters(stages, name)
            if "made" in known:
                codes(known)


def codes(known: Stage) -> dict[str, str]:
    """The fingerprint of the settings and the code of each stage that `known["made"]` names.

    The plan keeps them too.
    """
    if "codes" not in known:
        parts = {
            stage: f"{settings} {fingerprint(f'unlabel.stage.{stage.split()[0]}', *targets)}"
            for stage, (settings, targets) in known["made"].items()
        }
        known["codes"] = {stage: digest(part.encode()) for stage, part in parts.items()}
    return dict(known["codes"])


def without_code(entries: Entries) -> Entries:
    """A kept plan, for code that may have changed since."""
    return {
        name: {
            stage: {key: value for key, value in known.items() if key not in ("code", "codes")}
            for stage, known in stages.items()
        }
        for name, stages in entries.items()
    }


def as_yaml(settings: Settings) -> str:
    """Settings as YAML, in their order."""
    # libyaml's dumper is ten times as fast, where PyYAML was built with it
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(settings), Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text


def targets_of(settings: Settings) -> list[str]:
    """The targets that settings name, each once."""
    return sorted(set(targets(settings)))


def all_whole(entries: Mapping[str, Mapping[str, Stage]]) -> bool:
    """Is each frozen file still there, and is it what its name says?"""
    paths = (stage.get("settings") for stages in entries.values() for stage in stages.values())
    return all(is_whole(Path(path)) for path in dict.fromkeys(paths) if path)


def is_whole(path: Path) -> bool:
    """Is a file there whose name is the digest of its content?"""
    return path.exists() and digest(path.read_bytes()) == path.stem


def digest(text: bytes) -> str:
    """The first digits of the sha256."""
    return sha256(text).hexdigest()[:16]
