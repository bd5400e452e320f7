"""Whatever comes as a token: claims, or a `TokenError`, and nothing else."""

import base64
import hmac
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from signaling.errors import TokenError
from signaling.messages import MAX_TOKEN_BYTES, Error, encode
from signaling.tokens import JoinSecret

ROUNDS = 2_000
KEY = b"a secret of thirty-two bytes ..."
SECRET = JoinSecret(KEY)
NOW = 1_800_000_000.0
TOKENS = [
    SECRET.issue(name="Ada", room="den", lifetime=60, now=NOW),
    SECRET.issue(name="再" * 21, room="den", lifetime=60, now=NOW, subject="account 7"),
]
ODD_VALUES: list[object] = [
    None, True, 0, -1, 1.5, NOW, 1e308, float("nan"), float("-inf"), 10**300, "", "x" * 65,
    "\ud800", "\x00", "\u2028", "\U0001f3ae", [], {}, [[]], "den",
]  # fmt: skip


def spoiled(source: random.Random) -> str:
    """A token with some characters deleted, doubled or replaced: its signature is wrong."""
    letters = list(source.choice(TOKENS))
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(letters) + 1)
        match source.randrange(3):
            case 0:
                del letters[at : at + source.randint(1, 9)]
            case 1:
                letters[at:at] = letters[at : at + 10]
            case _:
                letters[at : at + 1] = chr(source.choice([46, 61, 45, 0, 0xD800, 0x663, 90]))
    return "".join(letters)


def noise(source: random.Random) -> str:
    return "".join(chr(source.randrange(0x11_0000)) for _ in range(source.randrange(2_000)))


def signed(body: bytes) -> str:
    text = "v1." + base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    mac = hmac.digest(KEY, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def signed_values(source: random.Random) -> str:
    """Odd claims that somebody has signed who knows the secret."""
    claims: dict[str, Any] = {"name": "Ada", "room": "den", "expires": NOW + 60, "id": "x"}
    for _ in range(source.randint(0, 2)):
        claims[source.choice(["name", "room", "expires", "id", "subject"])] = source.choice(
            ODD_VALUES
        )
    return signed(json.dumps(claims, ensure_ascii=source.random() < 0.5).encode("utf-8", "replace"))


def signed_bytes(source: random.Random) -> str:
    """Any bytes, signed."""
    if source.random() < 0.1:
        return signed(source.choice([b"[", b'{"name":', b"9", b"\xff"]) * source.randrange(90))
    return signed(source.randbytes(source.randrange(60)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spoil", [spoiled, noise, signed_values, signed_bytes])
def test_only_the_documented_error_is_raised(
    spoil: Callable[[random.Random], str], seed: int
) -> None:
    source = random.Random(seed)
    print(f"{seed=}")
    accepted = 0
    for _ in range(ROUNDS):
        token = spoil(source)
        room, now = source.choice(["den", "attic"]), NOW + source.choice([0, 0, 1_000])
        try:
            claims = SECRET.verify(token, room=room, now=now)
        except TokenError as error:
            # The refusal itself must be fit to be sent.
            encode(Error(error.code, str(error)))
            continue
        accepted += 1
        assert claims.room == room
        assert len(token) <= MAX_TOKEN_BYTES
        assert token in TOKENS or spoil is signed_values
    assert accepted or spoil is not signed_values
