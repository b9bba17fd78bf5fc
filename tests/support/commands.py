"""Commands of `unlabel`, and what they say."""

import pytest

from unlabel.cli import main


def refused(capsys, *words: str) -> str:
    """What the command says when it refuses."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    said = str(stopped.value.code)
    assert said.startswith("error: ")
    assert "\n" not in said
    return said
