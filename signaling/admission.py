"""Who may join, where not everybody may: what is known of whom, by its token."""

import logging
from collections.abc import Callable

from signaling.errors import TokenError
from signaling.messages import Join
from signaling.tokens import Claims, JoinSecret

log = logging.getLogger("signaling")

Tickets = Callable[[str], Claims | None]
"""Returns what a token says, if it is one of the embedding program's own."""


class Admission:
    """The answer of one server. Without a ``join_secret`` everybody may join, and nobody is asked.

    Raises `UsageError` if the secret is too short.
    """

    def __init__(self, join_secret: bytes | str | None, tickets: Tickets | None) -> None:
        self._secret = None if join_secret is None else JoinSecret(join_secret)
        self._tickets = tickets

    def check(self, join: Join, now: float) -> Claims | None:
        """Return what the token in a join says; None where none is needed.

        ``now`` is ``time.time()``. Raises `TokenError`.
        """
        if self._secret is None:
            return None
        return self._ticket(join) or self._secret.verify(join.token, room=join.room, now=now)

    def knows(self, join: Join) -> bool:
        """Return whether somebody comes back by a ticket, whom the program has let in before."""
        try:
            return self._ticket(join) is not None
        except TokenError:
            return False

    def _ticket(self, join: Join) -> Claims | None:
        claims: Claims | None = None
        if join.token is not None and self._tickets is not None:
            try:
                claims = self._tickets(join.token)
            except Exception:
                log.exception("the tickets function failed; the token is checked without it")
        if claims is not None and claims.room != join.room:
            raise TokenError("token_wrong_room", "this ticket is for another room")
        return claims
