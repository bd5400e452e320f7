"""Who may use a TURN server: users with a password, and credentials that run out by themselves.

The second kind needs no list of users. Who shares a secret with the relay writes down until when
a name is welcome, and signs it:

    username   1767225600:ada                      seconds of the Unix epoch, and any name
    password   base64(HMAC-SHA1(secret, username))

That is the form of "A REST API For Access To TURN Services" (draft-uberti-behave-turn-rest), which
coturn calls ``use-auth-secret``: the same secret serves our relay and a coturn. This module is
pure; the caller passes the time.
"""

import base64
import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from signaling.errors import UsageError

DAY = 86_400.0
"""Seconds that a credential is good for unless told otherwise, as the draft recommends.

It is looked at when a relayed address is asked for, not afterwards: a game that lasts longer goes
on, and only a player who comes back needs a new one.
"""

SEPARATOR = ":"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client shows to a TURN server."""

    username: str
    password: str = field(repr=False)
    """Not part of the repr, so that it does not end up in logs."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a username belongs to."""

    name: str
    """Whom quotas count: the same for all credentials that were issued to one name."""
    password: str = field(repr=False)


class TurnSecret:
    """A secret shared with a relay, and the credentials that follow from it.

    Raises `UsageError` for an empty secret.
    """

    def __init__(self, secret: str) -> None:
        if not secret:
            raise UsageError("a secret must not be empty: use secrets.token_urlsafe(32)")
        self._secret = secret.encode()

    def issue(self, name: str, now: float, lifetime: float = DAY) -> Credential:
        """Return a credential for a name, good for ``lifetime`` seconds from ``now``.

        ``now`` is ``time.time()``: the relay compares with the clock of its own machine.

        Raises:
            UsageError: if the name holds a line break or a NUL, or the lifetime is not above 0.
        """
        if any(letter in name for letter in "\r\n\0"):
            raise UsageError(f"a name must be one line: {name!r:.80}")
        if not 0 < lifetime < math.inf:
            raise UsageError(f"lifetime must be above 0, not {lifetime}")
        username = f"{math.ceil(now + lifetime)}{SEPARATOR}{name}"
        return Credential(username, self._sign(username))

    def account(self, username: str, now: float) -> Account | None:
        """Return whose username that is, or None if it has run out or is of no such form."""
        expiry, _, name = username.partition(SEPARATOR)
        # isdecimal() alone would let digits of other scripts pass, and int() takes them, too.
        if not (expiry.isascii() and expiry.isdecimal() and len(expiry) <= 12):
            return None
        if int(expiry) <= now:
            return None
        return Account(name, self._sign(username))

    def _sign(self, username: str) -> str:
        digest = hmac.digest(self._secret, username.encode(), "sha1")
        return base64.b64encode(digest).decode()


class Credentials:
    """Everybody whom a relay lets in.

    Args:
        secret: lets in whoever was given a credential by `TurnSecret.issue`.
        users: username → password of those who are always welcome.

    Raises:
        UsageError: if there is neither: such a relay would serve nobody.
    """

    def __init__(
        self, secret: TurnSecret | None = None, users: Mapping[str, str] | None = None
    ) -> None:
        if secret is None and not users:
            raise UsageError("a relay needs a secret or users: nobody could use it")
        self._secret = secret
        self._users = dict(users or {})

    def account(self, username: str, now: float) -> Account | None:
        """Return whose username that is, or None. ``now`` is in seconds of the Unix epoch."""
        password = self._users.get(username)
        if password is not None:
            return Account(username, password)
        return self._secret.account(username, now) if self._secret is not None else None


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """Return the key of MESSAGE-INTEGRITY for long-term credentials (RFC 8489, 9.2.2)."""
    text = f"{username}:{realm}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).digest()
