"""A checkpoint gives back what was written."""

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from support.properties import scalars, tried, words
from unlabel import weights

kinds = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])


tensors = st.dictionaries(
    words, st.tuples(kinds, st.lists(st.integers(0, 4), max_size=3)), max_size=4
).map(lambda all: {name: torch.ones(size, dtype=kind) for name, (kind, size) in all.items()})


@tried
@given(saved=tensors, said=st.dictionaries(words, scalars.filter(lambda x: x == x), max_size=3))
def test_a_checkpoint_gives_back_what_was_written(saved, said, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    assume("sha256" not in said)
    weights.write(path, saved, said)
    first = path.read_bytes()
    read, told = weights.read(path)
    assert told == said
    assert read.keys() == saved.keys()
    assert all(torch.equal(read[name], saved[name]) for name in saved)
    assert all(read[name].dtype == saved[name].dtype for name in saved)
    weights.write(path, read, told)
    assert path.read_bytes() == first
