"""The words at the door, and what is not taken for one."""

import dataclasses
import math
import random
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcode.core.join import (
    MAX_HELLO_BYTES,
    MAX_NAME_BYTES,
    Draining,
    Hello,
    Refusal,
    Welcome,
    clean_name,
    decode_answer,
    decode_hello,
    encode,
)
from netcode.errors import WireError

WELCOME = Welcome(
    player=3, name="Ada", tick=99, tick_rate=60.0, broadcast_every=3, seed=7, grace=10.0
)


def test_words_read_as_they_were_written() -> None:
    assert decode_hello(encode(Hello("abc", "Ada"))) == Hello("abc", "Ada")
    assert decode_answer(encode(WELCOME)) == WELCOME
    for refusal in (Refusal("full", None), Refusal("other game", {"wire": 1})):
        assert decode_answer(encode(refusal)) == refusal
    for seconds in (0.0, 30.5, 86_400.0):
        assert decode_answer(encode(Draining(seconds))) == Draining(seconds)
    assert decode_answer(msgpack.packb(["Draining", {"seconds": 30}])) == Draining(30.0)


BAD: dict[str, dict[str, Any]] = {
    "no player": {"player": 0},
    "negative player": {"player": -1},
    "huge player": {"player": 1 << 40},
    "negative tick": {"tick": -1},
    "huge tick": {"tick": 1 << 40},
    "no rate": {"tick_rate": 0},
    "rate that is no number": {"tick_rate": math.nan},
    "endless rate": {"tick_rate": math.inf},
    "never broadcast": {"broadcast_every": 0},
    "seldom broadcast": {"broadcast_every": 1 << 40},
    "text for a number": {"tick": "1"},
    "nothing for a name": {"name": None},
    "bytes for a name": {"name": b"x"},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_welcome_that_cannot_be_meant_is_a_wire_error(change: dict[str, Any]) -> None:
    values = dataclasses.asdict(WELCOME) | change
    with pytest.raises(WireError):
        decode_answer(msgpack.packb(["Welcome", values]))


@pytest.mark.parametrize(
    "word",
    [None, [], {}, "Hello", ["Hello"], ["Hello", {}], ["Hello", {"hash": 1, "name": "x"}],
     ["Hello", {"hash": "x"}], ["Welcome", {}], ["Refusal", {"reason": "x"}], [1, 2],
     ["Draining", {}], ["Draining", {"seconds": -1}], ["Draining", {"seconds": 1e9}],
     ["Draining", {"seconds": math.nan}], ["Draining", {"seconds": "1"}],
     ["Refusal", {"reason": "x", "description": []}], [["Hello"], {"hash": "x", "name": "x"}]],
    ids=str,
)  # fmt: skip
def test_what_is_no_word_is_a_wire_error(word: Any) -> None:
    for decode in (decode_hello, decode_answer):
        with pytest.raises(WireError):
            decode(msgpack.packb(word))


def test_a_hello_is_short() -> None:
    with pytest.raises(WireError):
        decode_hello(encode(Hello("x", "x" * MAX_HELLO_BYTES)))


@pytest.mark.parametrize("seed", range(4))
def test_mutations_raise_wire_errors_only(seed: int) -> None:
    rng = random.Random(seed)
    words = [encode(Hello("abc", "Ada")), encode(WELCOME), encode(Refusal("x", {"a": {"b": 1}}))]
    words.append(encode(Draining(30.0)))
    for _ in range(3000):
        data = bytearray(rng.choice(words))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        for decode in (decode_hello, decode_answer):
            try:
                word = decode(bytes(data[: rng.randrange(1, len(data) + 1)]))
            except WireError:
                continue
            if isinstance(word, Hello):
                assert word.name == clean_name(word.name)


@given(st.text(max_size=200))
def test_a_clean_name_is_printable_short_and_stays_as_it_is(name: str) -> None:
    clean = clean_name(name)
    assert clean.isprintable()
    assert len(clean.encode()) <= MAX_NAME_BYTES
    assert clean_name(clean) == clean


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Ada", "Ada"),
        ("  Ada Lovelace ", "Ada Lovelace"),
        ("\x1b[31mred\n", "[31mred"),
        ("\u202eevil", "evil"),
        ("\ud800", ""),
        (" \t\n ", ""),
        ("再" * 40, "再" * 21),
        ("é" + "再" * 40, "é" + "再" * 20),
        ("x" * 63 + " y", "x" * 63),
    ],
)
def test_names_are_cleaned(name: str, clean: str) -> None:
    assert clean_name(name) == clean
