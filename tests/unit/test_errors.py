"""The tree in the docstring is the tree of the classes."""

import inspect
import re

import pytest

from netcode import errors


def drawn() -> dict[str, str]:
    """Each class of the drawing with the class it hangs on."""
    above: list[tuple[int, str]] = []
    parents = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─\s]*)([A-Z]\w+)", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [entry for entry in above if entry[0] < depth]
        parents[match[2]] = above[-1][1] if above else "Exception"
        above.append((depth, match[2]))
    return parents


def classes() -> dict[str, type[Exception]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }


def test_the_docstring_draws_the_tree_of_the_classes() -> None:
    assert drawn() == {name: kind.__base__.__name__ for name, kind in classes().items()}


def test_every_error_says_what_it_is() -> None:
    assert [name for name, kind in classes().items() if not kind.__doc__] == []


def test_misuse_is_a_value_error() -> None:
    assert issubclass(errors.UsageError, ValueError)
    assert not issubclass(errors.WireError, ValueError)


def test_a_disconnect_knows_its_reason() -> None:
    with pytest.raises(errors.Disconnected, match="kicked") as caught:
        raise errors.Disconnected("kicked: spamming")
    assert caught.value.reason == "kicked: spamming"
