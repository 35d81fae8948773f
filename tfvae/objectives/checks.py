"""The check that every objective makes of its options."""

from __future__ import annotations

from typing import Any

from tfvae.errors import UsageError


def check_option(is_good: bool, name: str, rule: str, value: Any) -> None:
    """Refuse an option's value.

    Args:
        is_good: whether the value keeps the rule.
        name: of the option.
        rule: what was expected, ">= 0".
        value: what came.

    Raises:
        UsageError: `is_good` is False.
    """
    if not is_good:
        raise UsageError(f"Expected {name} {rule}. Received: {name}={value}.")
