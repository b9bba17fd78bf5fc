"""Settings frozen in files that are named by their content."""

from hashlib import sha256
from pathlib import Path

import yaml

from unlabel.fingerprint import targets
from unlabel.params.settings import Settings


def as_yaml(settings: Settings) -> str:
    # libyaml's dumper is ten times as fast, where PyYAML was built with it
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(settings), Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text


def modules(settings: Settings) -> list[str]:
    return sorted(set(targets(settings)))


def is_whole(path: Path) -> bool:
    """Is a file there whose name is the digest of what is in it?"""
    return path.exists() and digest(path.read_bytes()) == path.stem


def digest(text: bytes) -> str:
    return sha256(text).hexdigest()[:16]
