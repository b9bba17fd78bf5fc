"""What a job asks the scheduler for."""

import pytest
import torch

from unlabel.errors import UserError
from unlabel.workflow import resources


@pytest.mark.parametrize("asked", [True, "yes", 2, -1, 0.5, None])
def test_a_number_of_gpus_that_is_none_is_refused(asked):
    with pytest.raises(UserError, match=r"gpu=.* is not known: it must be 0, 1 or auto"):
        resources.gpus(asked, cluster=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_here_is_refused_at_once():
    with pytest.raises(UserError, match="gpu=1 asks for a GPU, but torch finds none"):
        resources.gpus(1, cluster=False)


def test_a_cluster_is_asked_for_what_this_machine_lacks():
    assert resources.gpus(1, cluster=True) == resources.gpus("auto", cluster=True) == 1
    assert resources.gpus(0, cluster=True) == 0
