"""MATLAB's files are read as scipy reads them."""

from pathlib import Path

import numpy as np
import pytest

from unlabel.data import matlab


def test_matlab_files_are_read_as_scipy_does(tmp_path: Path) -> None:
    from scipy.io import loadmat, savemat

    path = tmp_path / "some.mat"
    numbers = {"a": np.arange(24.0).reshape(2, 3, 4), "b": np.int16([[-3, 300]]), "of8": [[2**40]]}
    others = {"text": "text", "complex": np.array([[1j]]), "cell": np.array([[{"a": 1}]], object)}
    for packed in (False, True):
        savemat(path, numbers | others, do_compression=packed)
        ours, theirs = matlab.read(path, 1000), loadmat(path)
        assert list(ours) == list(numbers)
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype
            assert np.array_equal(array, theirs[name])
    with pytest.raises(ValueError, match="more than 100 bytes"):
        matlab.read(path, 100)
