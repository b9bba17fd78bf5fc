"""Numbers are written for people."""

from unlabel.units import duration, number, size


def test_numbers_are_written_for_people():
    assert [number(x) for x in (1234.5, 61.23, -2.5, 0.1234, 0.0)] == [
        "1,234",
        "61.2",
        "−2.50",
        "0.123",
        "0.000",
    ]
    assert number(-0.01, 1) == "0.0"
    assert number(0.00012) == "1.2e−04"
    assert [duration(s) for s in (1.23, 31.4, 300, 8000)] == ["1.2 s", "31 s", "5.0 min", "2.2 h"]
    assert [size(b) for b in (612_000_000, 12_340_000_000)] == ["612 MB", "12.3 GB"]
