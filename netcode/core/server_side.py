"""The server's side of a game: what its rules are written against."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from netcode.core.host import Host
from netcode.core.player import Player
from netcode.core.stats import ServerStats
from netcode.declarations import Entity, Message
from netcode.play.rewind import Past
from netcode.play.step import Step
from netcode.sync.explain import Explanation, StateStats
from netcode.world.world import World

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=Message)


class ServerSide:
    """The world, the players and the rules of a game, wherever it runs.

    Write rules as ``def set_up(server: nc.ServerSide) -> None`` with handlers inside: a real
    `Server` takes them, and so does the one of a test, `testing.Stepper.server`. Neither is made
    by calling this class.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def world(self) -> World:
        """The truth: spawn, change and despawn here."""
        return self._host.world

    @property
    def players(self) -> Mapping[int, Player]:
        """Who is in the game, by id."""
        return self._host.guests.by_id

    @property
    def tick(self) -> int:
        """Number of the newest tick simulated."""
        return self._host.tick

    @property
    def stats(self) -> ServerStats:
        """Counts since the start."""
        return self._host.stats

    def explain(self, player: Player, entity: Entity) -> Explanation:
        """Why an entity was sent to a player in the last broadcast, or why it was not.

        Raises `UsageError` for an entity of another world.
        """
        return self._host.explain(player, entity)

    def state_stats(self, player: Player) -> StateStats:
        """What the state sent to a player is made of: entities sent, deferred, culled and
        unchanged, and bytes by class and field."""
        return self._host.state_stats(player)

    def rewind(self, player: Player) -> Past:
        """The world as this player saw it when it gave the input of this tick, to judge by it what
        the player hit: ``with server.rewind(player) as past: past[Ship].x``.

        Read-only, and only inside the ``with`` block; the world itself does not change. What the
        player controls is as it is now, everything else as its display showed it: a round trip and
        the interpolation delay ago, which the client says and the server bounds by what it has
        measured, and by ``max_rewind``. Raises `UsageError` for a player who has left. Costs some
        50 µs for each class that is looked at.
        """
        return self._host.rewind(player)

    def broadcast(self, message: Message, to: Iterable[Player] | None = None) -> None:
        """Send a message to these players, or to all; left out are those whose queue is full."""
        self._host.broadcast(message, to)

    def on_join(self, handler: F) -> F:
        """Decorator: call ``handler(player)`` when somebody has joined.

        What it raises is logged and counted in ``stats.handler_errors``, and the player stays,
        with whatever the handler had done so far.
        """
        self._host.on_join.append(handler)
        return handler

    def on_leave(self, handler: F) -> F:
        """Decorator: call ``handler(player)`` when somebody has gone; ``left_because`` says why.

        The player's entities are still there, and still the player's: despawn them here, or
        they stay behind uncontrolled.
        """
        self._host.on_leave.append(handler)
        return handler

    def on_reconnecting(self, handler: F) -> F:
        """Decorator: call ``handler(player)`` when a player's link has failed. The player keeps its
        place and its entities for the server's ``grace``; its inputs are at rest meanwhile."""
        self._host.on_reconnecting.append(handler)
        return handler

    def on_resumed(self, handler: F) -> F:
        """Decorator: call ``handler(player)`` when such a player is back, with nothing reliable
        lost. One that does not come back leaves (`on_leave`)."""
        self._host.on_resumed.append(handler)
        return handler

    def on_tick(self, handler: Callable[[Step], Any]) -> Callable[[Step], Any]:
        """Decorator: call ``handler(step)`` every tick, after players' entities have moved.

        What it raises ends the server: a game whose rules fail cannot go on.
        """
        self._host.on_tick.append(handler)
        return handler

    def on_drain(self, handler: F) -> F:
        """Decorator: call ``handler(seconds)`` when `Server.drain` begins, to end the round in that
        time. What it raises is logged and counted in ``stats.handler_errors``.
        """
        self._host.on_drain.append(handler)
        return handler

    def on(self, kind: type[M]) -> Callable[[F], F]:
        """Decorator: call ``handler(player, message)`` for messages of this class.

        A message that it returns is the reply to a request. What it raises is logged and
        counted in ``stats.handler_errors``. Raises `UsageError` for a second handler.
        """

        self._host.handlers.check(kind)

        def decorate(handler: F) -> F:
            self._host.handlers.set(kind, handler)
            return handler

        return decorate
