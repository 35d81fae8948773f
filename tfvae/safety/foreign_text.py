"""Text of a foreign file as it may be shown."""

from __future__ import annotations


def escape_text(text: object, limit: int = 120) -> str:
    """Return text from a foreign file without control characters, which a terminal would obey.

    Args:
        text: anything; its `str` is taken.
        limit: the greatest length of the result; a longer one ends in "...".
    """
    escaped = ascii(str(text))[1:-1]
    return escaped if len(escaped) <= limit else escaped[: limit - 3] + "..."
