"""Numbers, durations and sizes as people read them."""

DASH = "–"


def decimals(value: float) -> int:
    """The number of decimals that shows about three digits of `value`."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3


def number(value: float, places: int | None = None) -> str:
    """Digits in groups of three, a true minus sign, and no negative zero."""
    if places is None:
        places = decimals(value)
        if 0 < abs(value) < 0.5e-3:
            return f"{value:.1e}".replace("-", "−")
    text = f"{value:,.{places}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """In the unit a person would use: 31 s, 12.4 min, 3.2 h."""
    if seconds < 120:
        return f"{number(seconds, 0 if seconds >= 10 else 1)} s"
    if seconds < 7200:
        return f"{number(seconds / 60, 1)} min"
    return f"{number(seconds / 3600, 1)} h"


def size(count: float) -> str:
    """Bytes: 610 MB, 12.3 GB."""
    return f"{number(count / 1e6, 0)} MB" if count < 1e9 else f"{number(count / 1e9, 1)} GB"
