"""The words of a mesh: there and back, nothing else, and proofs that fit one link only."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netcode.errors import WireError
from netcode.mesh import words
from netcode.mesh.words import Hello, Here, Known, Ready, Same, Welcome, Word

KEY, NONCE, PROOF = bytes(range(16)), b"n" * 16, b"p" * 16
ALL: list[Word] = [
    Hello("ada", NONCE, 10.0),
    Welcome("bob", KEY, 0.0),
    Ready(),
    Known("bob", NONCE, PROOF),
    Same(PROOF),
    Here("ada 2"),
]


@pytest.mark.parametrize("word", ALL, ids=lambda word: type(word).__name__)
def test_a_word_comes_out_as_it_went_in(word: Word) -> None:
    assert words.decode(words.encode(word)) == word


@pytest.mark.parametrize(
    "word",
    [
        Hello("", NONCE, 10.0),
        Hello("x" * 65, NONCE, 10.0),
        Hello("a\nb", NONCE, 10.0),
        Hello("ada", b"short", 10.0),
        Hello("ada", NONCE, -1.0),
        Hello("ada", NONCE, float("nan")),
        Welcome("bob", KEY + b"!", 1.0),
        Welcome("bob", KEY, 1e9),
        Known("bob", NONCE, b""),
        Same(b""),
        Here(""),
    ],
    ids=repr,
)
def test_what_no_honest_end_says_is_no_word(word: Word) -> None:
    with pytest.raises(WireError):
        words.decode(words.encode(word))


@given(st.binary(max_size=600))
@example(words.encode(Ready())[:-1])
@example(words.encode(ALL[0]) + b"\0")
def test_garbage_is_no_word(data: bytes) -> None:
    try:
        word = words.decode(data)
    except WireError:
        return
    assert words.decode(words.encode(word)) == word


@given(st.sampled_from(ALL), st.data())
def test_a_word_with_a_byte_changed_is_a_word_or_none(word: Word, data: st.DataObject) -> None:
    spoiled = bytearray(words.encode(word))
    spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    with suppress(WireError):
        words.decode(bytes(spoiled))


def test_a_proof_holds_for_its_key_its_nonce_and_its_two_ids_in_their_order() -> None:
    shown = words.proof(KEY, NONCE, "ada", "bob")
    assert words.holds(shown, KEY, NONCE, "ada", "bob")
    assert not words.holds(shown, KEY, NONCE, "bob", "ada")
    assert not words.holds(shown, KEY, NONCE, "eve", "bob")
    assert not words.holds(shown, KEY, NONCE, "ada", "eve")
    assert not words.holds(shown, KEY, PROOF, "ada", "bob")
    assert not words.holds(shown, PROOF, NONCE, "ada", "bob")
