"""Tickets: what a peer that has lost its link comes back with.

Whoever answers calls gives one to each peer, and a new one each time that it is used. The one
before stays good until the peer has shown that it has the new one, since the answer may have been
lost with the link that carried it.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

from netcode.link.frames import TICKET_BYTES

SECRET_BYTES = 16
"""128 bits, which nobody guesses."""

NUMBER_BYTES = TICKET_BYTES - SECRET_BYTES


_TOKEN = re.compile(f"[A-Za-z0-9_-]{{{TICKET_BYTES * 4 // 3}}}")


def as_token(ticket: bytes) -> str:
    """A ticket as what opens a room that asks for tokens, where a join token has expired since."""
    return urlsafe_b64encode(ticket).decode()


def as_ticket(token: str) -> bytes | None:
    """The ticket that such a token is; None if it is something else."""
    return urlsafe_b64decode(token) if _TOKEN.fullmatch(token) else None


@dataclass(slots=True)
class _Held:
    newest: bytes
    before: bytes | None = None


class Tickets:
    """The tickets of one answering end, by the number of who holds them.

    ``entropy(n)`` returns n bytes that nobody can guess: `secrets.token_bytes`.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._held: dict[int, _Held] = {}

    def issue(self, number: int, shown: bytes | None = None) -> bytes:
        """A new ticket for this holder, the first one, or for the one that was ``shown``, which
        stays good until `confirm`: the holder certainly has it."""
        ticket = number.to_bytes(NUMBER_BYTES, "big") + self._entropy(SECRET_BYTES)
        held = self._held.get(number)
        if held is None:
            self._held[number] = _Held(ticket)
        else:
            held.newest, held.before = ticket, shown
        return ticket

    def holder(self, ticket: bytes) -> int | None:
        """Whose ticket this is; None if it is nobody's, or not any more."""
        number = int.from_bytes(ticket[:NUMBER_BYTES], "big")
        held = self._held.get(number)
        if held is None:
            return None
        is_newest = compare_digest(ticket, held.newest)
        is_before = compare_digest(ticket, held.before or held.newest)
        return number if is_newest or is_before else None

    def confirm(self, number: int) -> None:
        """The holder has the newest one: those before are void."""
        held = self._held.get(number)
        if held is not None:
            held.before = None

    def drop(self, number: int) -> None:
        """The holder does not come back any more. Harmless if there is none."""
        self._held.pop(number, None)
