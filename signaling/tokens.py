"""Join tokens: a game's back end says who may enter which room, and the server believes it.

The back end knows its players; the signaling server knows only a secret that it shares with the
back end. A token is what the back end signs for one player, one room and a few minutes::

    v1.<claims>.<signature>

``claims`` is a JSON object, ``signature`` is HMAC-SHA256 under the secret over everything before
the second dot; both in URL-safe base64 without padding (RFC 4648, 5). The claims:

    name      text, 1 to 64 bytes in one line: what the player is called, whatever it says itself
    room      text, 1 to 64 bytes: the only room that the token opens
    expires   seconds since 1970 (UTC) from which on the token is of no use
    id        text, 1 to 64 bytes, different for every token
    subject   text, 1 to 64 bytes, may be missing: what the back end itself calls this player

The version names the algorithm, and nothing inside a token can choose another one. Nothing of the
claims is read before the signature has been found right, and the signature is compared as text,
so that no second spelling of a token exists.

A token may be used again while it lives, since a join that failed half way, on a bad line, must
be repeatable; but it is one seat: who enters with it displaces whoever came in with it before. So
a stolen token cannot be used beside its owner's unnoticed, and the server has nothing to remember
of tokens that are not in use.

This module is pure but for the chance in a token's id: the caller passes the time.
"""

import base64
import hmac
import json
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from signaling.errors import TokenError, UsageError
from signaling.messages import MAX_ID_BYTES, MAX_NAME_BYTES, MAX_ROOM_BYTES, MAX_TOKEN_BYTES
from signaling.rules import Invalid, printable, single_line

VERSION = "v1"

MIN_SECRET_BYTES = 16
"""A shorter secret could be guessed by trying, away from any server, on one token."""

MAX_LIFETIME = 86_400.0
"""Seconds that a token can live. Longer ones are refused too, since they are most likely in
milliseconds; a token is for joining, not for staying."""

CLOCK_SKEW = 30.0
"""Seconds by which the clocks of back end and server may differ."""

_NAME = single_line(MAX_NAME_BYTES, least=1)
_ROOM = printable(MAX_ROOM_BYTES, least=1)
_ID = single_line(MAX_ID_BYTES, least=1)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, once its signature has been found right."""

    name: str
    room: str
    expires: float
    """Seconds since 1970 (UTC)."""
    id: str
    """Different for every token."""
    subject: str | None = None
    """What the back end calls this player, such as the number of its account."""


class JoinSecret:
    """The secret that a back end and its servers share.

    Args:
        secret: at least 16 bytes that nobody can guess, such as those of
            ``secrets.token_urlsafe(32)``. A text stands for its UTF-8.

    Raises:
        UsageError: if the secret is too short.
    """

    def __init__(self, secret: bytes | str) -> None:
        if not isinstance(secret, bytes | str):
            raise UsageError(f"a join secret is bytes or text, not {type(secret).__name__}")
        key = secret.encode() if isinstance(secret, str) else bytes(secret)
        if len(key) < MIN_SECRET_BYTES:
            raise UsageError(
                f"a join secret has at least {MIN_SECRET_BYTES} bytes, not {len(key)}: make one "
                'with python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        self._key = key

    def __repr__(self) -> str:
        return "<JoinSecret>"

    def issue(
        self,
        *,
        name: str,
        room: str,
        lifetime: float,
        now: float,
        subject: str | None = None,
    ) -> str:
        """Return a token for a player whom the back end has recognised.

        Args:
            name: what the player is called; 1 to 64 bytes in one line.
            room: the room that the token opens; 1 to 64 bytes of printable characters.
            lifetime: seconds from now on, 86,400 at most. A minute is enough for joining.
            now: ``time.time()``.
            subject: what the back end calls this player; 1 to 64 bytes in one line.

        Raises:
            UsageError: if one of these breaks its bound.
        """
        if not 0 < lifetime <= MAX_LIFETIME:
            raise UsageError(f"a token lives up to {MAX_LIFETIME:.0f} s, not {lifetime!r}")
        claims: dict[str, object] = {
            "name": name,
            "room": room,
            "expires": math.ceil(now + lifetime),
            "id": secrets.token_urlsafe(12),
        }
        if subject is not None:
            claims["subject"] = subject
        try:
            _claims(claims)
        except Invalid as error:
            raise UsageError(f"a token's {error}") from None
        body = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
        signed = f"{VERSION}.{_base64(body)}"
        return f"{signed}.{self._signature(signed)}"

    def verify(self, token: str | None, *, room: str, now: float) -> Claims:
        """Return what a token says, if it opens this room now.

        Args:
            token: as it came from the player; None if there was none.
            room: the room that the player wants to enter.
            now: ``time.time()``.

        Raises:
            TokenError: for anything else, and nothing but that; its code and text say why. A
                token that is too long or signed wrongly is refused before anything in it is read.
        """
        if token is None:
            raise TokenError(
                "token_missing", "a join token is needed here: sign in to the game to get one"
            )
        claims = _read(self._signed_part(token))
        if now > claims.expires + CLOCK_SKEW:
            raise TokenError("token_expired", "this join token is too old: get a new one")
        if claims.expires > now + MAX_LIFETIME + CLOCK_SKEW:
            raise TokenError(
                "token_invalid",
                f"this join token would live for more than {MAX_LIFETIME:.0f} s: its back end "
                "should write seconds, and the clocks should agree",
            )
        if claims.room != room:
            raise TokenError(
                "token_wrong_room", "this join token is for another room: get one for this one"
            )
        return claims

    def _signed_part(self, token: str) -> str:
        """Return the claims of a token that was signed with this secret, still in base64."""
        # The length is looked at first: whatever comes, it costs no more than one short HMAC.
        if isinstance(token, str) and len(token) <= MAX_TOKEN_BYTES and token.isascii():
            signed, _, signature = token.rpartition(".")
            version, _, claims = signed.partition(".")
            right = hmac.compare_digest(signature, self._signature(signed))
            if right and version == VERSION:
                return claims
        raise TokenError(
            "token_invalid",
            "this join token was not made by this game's back end: get a new one",
        )

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode(), "sha256"))


def _read(claims: str) -> Claims:
    """Return the claims that a back end has signed. It may still have spelled them wrongly."""
    try:
        padded = claims + "=" * (-len(claims) % 4)
        wire = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return _claims(wire)
    except (ValueError, RecursionError) as error:
        # Only who knows the secret gets here, so the reason may be told.
        raise TokenError(
            "token_invalid", f"this join token's claims are wrong: {error}"[:200]
        ) from None


def _claims(wire: object) -> Claims:
    """Raise `Invalid`, saying which claim is wrong, unless all of them keep their bounds."""
    if not isinstance(wire, dict):
        raise Invalid("claims must be an object")
    expires = wire.get("expires")
    if (
        not isinstance(expires, int | float)
        or isinstance(expires, bool)
        or not 0 <= expires < 1 << 53
    ):
        raise Invalid("expires must be a number of seconds")
    subject = wire.get("subject")
    return Claims(
        name=_checked(wire, "name", _NAME),
        room=_checked(wire, "room", _ROOM),
        expires=float(expires),
        id=_checked(wire, "id", _ID),
        subject=None if subject is None else _checked(wire, "subject", _ID),
    )


def _checked(wire: dict[str, object], name: str, check: Callable[[object], str]) -> str:
    try:
        return check(wire.get(name))
    except Invalid as error:
        raise Invalid(f"{name} {error}") from None


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
