"""What a value from the network may be: bounds on texts, numbers and lists.

Each rule is a function that takes whatever JSON had in a field's place and returns it as it may be
used, or raises `Invalid`, whose text says what is wrong and reads on after the field's name. Pure.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

LINE_BREAKS_AND_CONTROLS = {"Cc", "Zl", "Zp"}
"""Unicode categories that would let a name break out of its line in a log or a list."""


class Invalid(ValueError):
    """A value breaks its rule."""


def text(most: int, *, least: int = 0) -> Callable[[object], str]:
    """Return the rule "a text of least to most bytes of UTF-8"."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise Invalid("must be text")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            # JSON can spell half of a surrogate pair, which UTF-8 cannot carry on.
            raise Invalid("must be text without unpaired surrogates") from None
        if not least <= size <= most:
            raise Invalid(f"must have {least} to {most} bytes, has {size}")
        return value

    return check


def single_line(most: int, *, least: int = 0) -> Callable[[object], str]:
    """Return the rule "a text of so many bytes, in one line, without control characters"."""
    check_text = text(most, least=least)

    def check(value: object) -> str:
        line = check_text(value)
        if any(unicodedata.category(letter) in LINE_BREAKS_AND_CONTROLS for letter in line):
            raise Invalid("must not contain control characters or line breaks")
        return line

    return check


def printable(most: int, *, least: int = 0) -> Callable[[object], str]:
    """Return the rule "a text of so many bytes, all of it printable"."""
    check_text = text(most, least=least)

    def check(value: object) -> str:
        line = check_text(value)
        if not line.isprintable():
            raise Invalid("must contain printable characters only")
        return line

    return check


def one_of(*choices: str) -> Callable[[object], str]:
    """Return the rule "one of these texts"."""
    named = " or ".join(f'"{choice}"' for choice in choices)

    def check(value: object) -> str:
        if value not in choices:
            raise Invalid(f"must be {named}")
        return str(value)

    return check


def integer(most: int) -> Callable[[object], int]:
    """Return the rule "an integer from 0 to most"."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Invalid("must be an integer")
        if not 0 <= value <= most:
            raise Invalid(f"must be between 0 and {most}")
        return value

    return check


def seconds(most: float) -> Callable[[object], float]:
    """Return the rule "a number from 0 to most"."""

    def check(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Invalid("must be a number")
        if not 0 <= value <= most:
            raise Invalid(f"must be between 0 and {most:g}")
        return float(value)

    return check


def or_null(check: Callable[[object], Any]) -> Callable[[object], Any]:
    """Return the rule "null, or what another rule allows"."""
    return lambda value: None if value is None else check(value)


def list_of(check: Callable[[object], Any], most: int) -> Callable[[object], tuple[Any, ...]]:
    """Return the rule "a list of at most so many, each as another rule allows"."""

    def check_list(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Invalid("must be a list")
        if len(value) > most:
            raise Invalid(f"must have at most {most} items, has {len(value)}")
        return tuple(check(item) for item in value)

    return check_list
