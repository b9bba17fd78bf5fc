"""Any output's record is found by its path."""

import shutil

from hypothesis import given
from hypothesis import strategies as st

from support.properties import tried
from unlabel import files
from unlabel.workflow.engine import records

paths = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=80).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=8,
).map("/".join)


@tried
@given(path=paths)
def test_a_record_is_found_by_any_outputs_path(path, tmp_path):
    folder = tmp_path / "metadata"
    shutil.rmtree(folder, ignore_errors=True)
    place = records.place(folder, path)
    files.write_text(place, "{}")
    assert list(records.read(folder)) == [(path, place)]
