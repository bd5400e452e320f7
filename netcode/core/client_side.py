"""The client's side of a game: what a player's program is written against."""

from collections.abc import Callable
from typing import Any, TypeVar

from netcode.core.guest import Guest
from netcode.core.messaging import Reply
from netcode.core.stats import NetworkStats
from netcode.declarations import Entity, Input, Message
from netcode.errors import NetcodeError, UsageError
from netcode.fields import Field
from netcode.world.world import World

E = TypeVar("E", bound=Entity)
M = TypeVar("M", bound=Message)
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class ClientSide:
    """One player's world, inputs and messages, wherever the game runs.

    Write ``def set_up(client: nc.ClientSide) -> None`` with handlers inside: what `connect` gives
    takes them, and so does a client of a test, `testing.SteppedClient`. Neither is made by calling
    this class.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def update(self, *inputs: Input) -> None:
        """Call once a frame with what the player wants; never blocks.

        Runs the handlers of everything that has happened, samples the input for each tick that
        has become due, and arranges ``world`` for this moment. Raises `Disconnected` (``reason``
        says why) once the session is over.
        """
        self._guest.update(*inputs)

    @property
    def world(self) -> World:
        """What to draw: own entities predicted, others interpolated. Changes in `update` only."""
        return self._guest.world

    @property
    def display_tick(self) -> float:
        """The tick of what is seen of others; a float, for it lies between two. 0 before that."""
        return self._guest.display_tick

    @property
    def prediction(self) -> bool:
        """Whether own entities answer at once. May be set: off, they are shown like all others, as
        if there were no prediction, to see what it does."""
        return self._guest.prediction

    @prediction.setter
    def prediction(self, on: bool) -> None:
        self._guest.prediction = on

    @property
    def interpolation(self) -> bool:
        """Whether others move evenly. May be set: off, they are shown as last received."""
        return self._guest.interpolation

    @interpolation.setter
    def interpolation(self, on: bool) -> None:
        self._guest.interpolation = on

    @property
    def authoritative(self) -> World:
        """The world as last received from the server."""
        return self._guest.authoritative

    def own(self, kind: type[E]) -> E | None:
        """The first entity of a class that this player controls, or None.

        None also for the first moments after joining, until the first snapshot is here.
        """
        return self._guest.own(kind)

    @property
    def player_id(self) -> int:
        """This player's number on the server; 0 before joining."""
        return self._guest.player_id

    @property
    def name(self) -> str:
        """This player's name, as the server has it."""
        return self._guest.name

    @property
    def tick(self) -> int:
        """The tick that this client simulates, ahead of the server's."""
        return self._guest.tick

    @property
    def joined(self) -> bool:
        """Whether the player is in the game."""
        return self._guest.joined and self._guest.ended is None

    @property
    def reconnecting(self) -> bool:
        """Whether the link has failed and this player's place is kept while another one is sought:
        tell the player. Own entities still answer, others stand still, and messages wait."""
        return self._guest.reconnecting

    @property
    def error(self) -> NetcodeError | None:
        """Why the game is over or could not be joined; None while there is no reason."""
        return self._guest.ended

    @property
    def draining(self) -> float | None:
        """Seconds until the server goes away, once it has said so; None before: tell the player."""
        return self._guest.draining

    @property
    def stats(self) -> NetworkStats:
        """The connection at this moment."""
        return self._guest.stats()

    # -- talking -----------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send a message to the server.

        Raises `SendQueueFull` if it was not taken, or `Disconnected` once the session is over.
        """
        self._guest.send(message)

    def request(self, message: Message) -> Reply[Message]:
        """Send a message and get the handler's answer: ``await`` it, or ``.result(timeout)``."""
        return self._guest.request(message)

    def on(self, kind: type[M]) -> Callable[[F], F]:
        """Decorator: call ``handler(message)`` for messages of this class, inside `update`.

        A timed message is handled when the display has reached its tick. A message that the handler
        returns is the reply to a request. Raises `UsageError` for a second handler.
        """

        self._guest.handlers.check(kind)

        def decorate(handler: F) -> F:
            self._guest.handlers.set(kind, handler)
            return handler

        return decorate

    def on_enter(self, kind: type[E]) -> Callable[[F], F]:
        """Decorator: call ``handler(entity)`` when an entity of this class comes into view."""
        return self._listener(self._guest.events.on_enter, kind)

    def on_leave(self, kind: type[E]) -> Callable[[F], F]:
        """Decorator: call ``handler(entity)`` when one leaves the view or despawns.

        Its fields can still be read inside the handler; if its class has a ``fade``, it stays in
        `world` for that long.
        """
        return self._listener(self._guest.events.on_leave, kind)

    def on_change(self, field: Field[T]) -> Callable[[F], F]:
        """Decorator: call ``handler(entity, old, new)`` when the displayed value changes.

        ``@client.on_change(Ship.hull)``. A field that moves calls once a frame.
        """
        if not isinstance(field, Field):
            raise UsageError(f"on_change takes a field, such as Ship.hull, not {field!r}")
        return self._listener(self._guest.events.on_change, field)

    def on_reconnecting(self, handler: F) -> F:
        """Decorator: call ``handler()``, inside `update`, when the link has failed and another one
        is being sought."""
        self._guest.on_reconnecting.append(handler)
        return handler

    def on_resumed(self, handler: F) -> F:
        """Decorator: call ``handler()``, inside `update`, when the game goes on after that, with
        nothing reliable lost."""
        self._guest.on_resumed.append(handler)
        return handler

    def on_lost(self, handler: F) -> F:
        """Decorator: call ``handler(reason)`` in the last `update`, just before that raises
        `Disconnected`: the player has left, has been sent away, or has not got back in time."""
        self._guest.on_lost.append(handler)
        return handler

    def _listener(
        self, listeners: dict[Any, list[Callable[..., Any]]], key: Any
    ) -> Callable[[F], F]:
        if not isinstance(key, Field):
            self.world.table(key)  # raises for a class that is not part of the game

        def decorate(handler: F) -> F:
            listeners.setdefault(key, []).append(handler)
            return handler

        return decorate

    def close(self) -> None:
        """Leave the game. Idempotent."""
        self._guest.close()
