"""What is said of a machine that cannot do what it is asked for."""

import errno

import pytest

from unlabel.errors import of_machine


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "cannot write at a.yaml: No space left on device; make room and "),
        (errno.EACCES, "cannot read or write a.yaml: Permission denied; permit it and "),
        (errno.EROFS, "cannot read or write a.yaml: Read-only file system; permit it and "),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(number, said):
    """Nobody is told to make room for a file that may not be read."""
    assert of_machine(OSError(number, "", "a.yaml")) == f"{said}start again"


def test_other_errors_are_not_the_machines():
    assert of_machine(OSError(errno.ENOENT, "", "a.yaml")) == ""
