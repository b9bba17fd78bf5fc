"""A claim is parsed once, or explained."""

from dataclasses import asdict
from math import inf, nan

import pytest
import yaml

from support.claims import parsed, values
from unlabel.errors import UserError
from unlabel.params import claim


def frozen(found: claim.Claim) -> dict:
    """A claim as it comes back from a frozen file."""
    return yaml.safe_load(yaml.safe_dump(asdict(found)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", 1.0),
        ("a[64]", 2.0),
        ("a[64].knn", 3.0),
        ("a[no crop, no-flip+].log.loss", 4.0),
        ("a - a[64]", -1.0),
        ("- a + a[64]-a[64].knn", -2.0),
        ("a + 0.5 - 1e-1", 1.4),
        ("a[64].lowshot_0.5", 5.0),
    ],
)
def test_an_expression_is_what_it_says(text, value):
    table = {
        "a": 1.0, "a[64]": 2.0, "a[64].knn": 3.0, "a[no crop, no-flip+].log.loss": 4.0,
        "a[64].lowshot_0.5": 5.0, "b": 0.0,
    }  # fmt: skip
    found = parsed(higher=text, than="b")
    assert found.difference(values(table)) == pytest.approx(value)
    assert str(claim.parse(found.written(), "knn", "claim 1").left) == str(found.left)


@pytest.mark.parametrize(
    "content",
    [
        {"higher": "a[64].knn - b + 1e-1", "than": "0.5", "by": 0.02},
        {"higher": "a", "than": "b", "margin": 0.5},
        {"same": "- a + a[no crop, no-flip+].log.loss", "as": "b", "within": 0.1, "metric": "knn"},
    ],
)
def test_a_claim_is_frozen_as_it_was_parsed(content, monkeypatch):
    found = parsed(**content)
    plain = frozen(found)
    monkeypatch.setattr(claim, "parse", None)
    monkeypatch.setattr(claim, "_parts", None)
    assert claim.Claim.of(plain) == found


def test_a_claim_may_be_about_a_number():
    found = parsed(higher="a.log.bound", than=0.7, by=0.1)
    assert found.difference(values({"a.log.bound": 1.0})) == pytest.approx(0.3)
    assert found.bound == 0.1
    assert found.metrics == ["log.bound"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"higher": "a"}, "claim 1 lacks 'than'"),
        ({"same": "a", "as": "b"}, "claim 1 lacks 'within'"),
        ({"than": "b"}, "must say either `higher`"),
        ({"higher": "a", "same": "a", "than": "b"}, "must say either `higher`"),
        ({"higher": "a", "than": "b", "byy": 1}, "claim 1.byy is not part .* did you mean 'by'"),
        ({"higher": "a", "than": "b", "by": "much"}, "claim 1.by is 'much', but must be a number"),
        ({"same": "a", "as": "b", "within": 0}, "must be above 0"),
        ({"same": "a", "as": "b", "within": inf}, "claim 1.within is inf, but must be finite"),
        ({"same": "a", "as": "b", "within": nan}, "claim 1.within is nan, but must be finite"),
        ({"higher": "a", "than": "b", "by": nan}, "claim 1.by is nan, but must be finite"),
        ({"higher": "a", "than": "b", "margin": inf}, "claim 1.margin is inf, but must be finite"),
        ({"higher": "a", "than": "1e999"}, "claim 1.than is inf, but must be finite"),
        ({"higher": "a", "than": "b", "margin": 0}, "claim 1.margin is 0, but must be above 0"),
        ({"higher": "a", "than": "b", "margin": "x"}, "claim 1.margin is 'x', but must be a num"),
        ({"same": "a", "as": "b", "within": 1, "margin": 1}, "claim 1.margin is not part of a"),
        ({"higher": "a b", "than": "b"}, "claim 1.higher cannot be read at 'b'"),
        ({"higher": "a * 2", "than": "b"}, "claim 1.higher cannot be read at '\\* 2'"),
        ({"higher": "a[64", "than": "b"}, "claim 1.higher cannot be read at '\\[64'"),
        ({"higher": "a +", "than": "b"}, "claim 1.higher cannot be read at '\\+'"),
        ({"higher": " ", "than": "b"}, "claim 1.higher is empty"),
        ({"higher": ["a"], "than": "b"}, "must be terms joined by"),
        ({"higher": "1", "than": 2}, "compares two numbers"),
        ({"higher": "a", "than": "b", "metric": 3}, "claim 1.metric is 3"),
    ],
)
def test_a_claim_that_cannot_be_read_is_explained(content, said):
    with pytest.raises(UserError, match=said) as error:
        parsed(**content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"higher": "a", "than": "b"}, "a > b"),
        ({"higher": "a", "than": "b", "by": 0.01}, "a > b + 0.01"),
        ({"higher": "a", "than": "b", "by": -0.01}, "a > b - 0.01"),
        ({"same": "a", "as": "b - c", "within": 0.01}, "|a - (b - c)| < 0.01"),
    ],
)
def test_a_claim_in_one_line(content, line):
    assert parsed(**content).formula() == line
