"""A run is its path, and its path can be typed again."""

from hypothesis import given
from hypothesis import strategies as st

from support.properties import explained, few, tried, words
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
    assert run is None or text.split("/")[:4] == run.folder.split("/")[:4]
