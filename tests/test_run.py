"""A run is its path, and its path can be typed again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.properties import explained, few, tried, words
from unlabel.errors import UserError
from unlabel.run import Run


@few
@given(st.tuples(words, words, words, words), st.integers(0, 10**6))
def test_a_runs_folder_names_it(parts, seed):
    run = Run(*parts, seed)
    assert Run.parse(run.folder) == run
    assert Run.of(f"data/runs/{run.folder}/metrics/knn.json") == run


@tried
@given(st.text(max_size=60))
def test_any_text_is_a_run_or_explained(text):
    run = explained("is not a run", Run.parse, text)
    assert run is None or text == run.folder


@pytest.mark.parametrize("seed", ["01", "1_0", " 1", "+1", "-1", "١", "1.0", ""])
def test_a_seed_is_written_in_one_way(seed):
    with pytest.raises(UserError, match="is not a run: .* SEED a number such as 0 or 12"):
        Run.parse(f"tiny/digits/simclr/base/{seed}")
