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


def test_what_a_gpu_cannot_repeat_is_one_sentence():
    """As torch says it of a pooling of VGG's in training."""
    said = (
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you "
        "set 'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for "
    )
    assert of_machine(RuntimeError(said)) == (
        "adaptive_avg_pool2d_backward_cuda gives other bits each time on a GPU, so that a result "
        "could not be had again; choose another encoder, or compute on the CPU "
        "(hardware.device=cpu), and start again"
    )
