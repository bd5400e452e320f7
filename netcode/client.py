"""The client: a player's end of a game, for a plain ``while`` loop or for asyncio."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeVar

import signaling
from netcode.core.guest import INPUT_RATE, Guest
from netcode.core.messaging import Reply
from netcode.core.stats import NetworkStats
from netcode.declarations import Entity, Input, Message
from netcode.errors import (
    Disconnected,
    NetcodeError,
    Unreachable,
    UsageError,
)
from netcode.fields import Field
from netcode.introductions import Enter, Introductions, door, part
from netcode.link.link import Link
from netcode.protocol import Protocol
from netcode.server import GAME_ROOM
from netcode.switching import prompt_switching
from netcode.transports.conditioner import Conditioner
from netcode.transports.link_model import Conditions
from netcode.transports.link_model import conditions as conditions_of
from netcode.transports.webrtc import WebRtcTransport
from netcode.world.world import World

E = TypeVar("E", bound=Entity)
M = TypeVar("M", bound=Message)
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

JOIN_TIMEOUT = 15.0
"""Seconds from `connect` to being in the game, or to an error that says what is wrong."""


def connect(
    url: str,
    protocol: Protocol,
    *,
    name: str = "",
    token: str | None = None,
    room: str = GAME_ROOM,
    ca_file: str | PathLike[str] | None = None,
    conditions: str | Conditions | None = None,
    input_rate: float = INPUT_RATE,
    timeout: float = JOIN_TIMEOUT,
) -> "Client":
    """Join a game; use the result as a context manager.

    ``with connect(...) as client`` runs the network on a thread of its own and returns when the
    player is in; ``async with connect(...) as client`` does the same on the running event loop.
    While that thread runs, Python switches threads more promptly: see `Client.start`.
    ``token`` is what the game's back end has signed for this player, where the server asks for it:
    its name counts then. ``room`` is the server's. ``ca_file`` is a PEM file of the certificates to
    trust for ``wss://``, instead of the system's.
    ``conditions`` is bad weather for trying out, a preset's name (``"4g"``) or `Conditions`.
    ``input_rate`` is how many packets of inputs go out a second, 10 to 60: fewer cost less, and
    everybody sees this player a little later.

    Raises `UsageError` at once for a wrong argument. Entering the context raises `Unreachable`
    (the text says what to check), `Refused` (game full, bad token, …) or `ProtocolMismatch` (which
    names the class and field). Cancelling an ``async with`` leaves nothing behind.
    """
    if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
        raise UsageError(f"{url!r} is not a server: it looks like ws://localhost:8080")
    return Client(
        url,
        protocol,
        name=name,
        enter=door(url, room=room, token=token, ca_file=ca_file),
        conditions=conditions,
        input_rate=input_rate,
        timeout=timeout,
    )


class Client:
    """A player's end of a game; made by `connect`.

    ``update`` and everything it calls belong to the game's thread. ``send``, ``request`` and
    ``close`` may be called from any.
    """

    def __init__(
        self,
        url: str,
        protocol: Protocol,
        *,
        name: str,
        enter: Enter,
        conditions: str | Conditions | None,
        input_rate: float,
        timeout: float,
    ) -> None:
        if not isinstance(protocol, Protocol):
            raise UsageError(f"connect takes the game's Protocol second, not {protocol!r}")
        if not isinstance(name, str):
            raise UsageError(f"a name is a text, not {name!r}")
        if not (isinstance(input_rate, (int, float)) and 10 <= input_rate <= 60):
            raise UsageError(f"input_rate is 10 to 60 packets a second, not {input_rate!r}")
        self._url = url
        self._enter = enter
        self._timeout = timeout
        self._weather: str | Conditions | None = None
        self._conditioner: Conditioner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._settled = threading.Event()
        self._leaving = False
        self._guest = Guest(protocol, name, time.monotonic, self._wake, input_rate)
        self._guest.on_state_change = self._state_changed
        self._transport: WebRtcTransport | None = None
        self.conditions = conditions

    # -- the game ----------------------------------------------------------------------------

    def update(self, *inputs: Input) -> None:
        """Call once a frame with what the player wants; never blocks.

        Runs the handlers of everything that has happened, samples the input for each tick that
        has become due, and arranges ``world`` for this moment. Raises `Disconnected` (``reason``
        says why) once the session is over.
        """
        self._raise_unless_started()
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
        stats = self._guest.stats()
        return replace(stats, path=self._transport.path()) if self._transport else stats

    @property
    def conditions(self) -> str | Conditions | None:
        """Bad weather on this client's packets, both ways: a preset's name or None; may be set."""
        return self._weather

    @conditions.setter
    def conditions(self, weather: str | Conditions | None) -> None:
        if weather is not None:
            conditions_of(weather)  # an unknown name raises here, in the caller's thread
        self._weather = weather
        self._on_loop(self._set_weather)

    # -- talking -----------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send a message to the server.

        Raises `SendQueueFull` if it was not taken, or `Disconnected` once the session is over.
        """
        self._raise_unless_started()
        self._guest.send(message)

    def request(self, message: Message) -> Reply[Message]:
        """Send a message and get the handler's answer: ``await`` it, or ``.result(timeout)``."""
        self._raise_unless_started()
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

    def _listener(
        self, listeners: dict[Any, list[Callable[..., Any]]], key: Any
    ) -> Callable[[F], F]:
        if not isinstance(key, Field):
            self.world.table(key)  # raises for a class that is not part of the game

        def decorate(handler: F) -> F:
            listeners.setdefault(key, []).append(handler)
            return handler

        return decorate

    # -- coming and going --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join on a thread of its own, without waiting: for a game that goes on drawing.

        `joined` and `error` tell how it went; `close` ends it. So that packets do not wait for a
        game that is busy with Python, ``sys.getswitchinterval()`` of the whole process is 0.2 ms
        (1 ms on Windows) or less until the last such client has closed. A lower one is left
        alone, and one that is set once the player has joined stands.
        """
        if self._thread is not None or self._task is not None:
            raise UsageError("this client has been started already: connect() makes a new one")
        self._thread = threading.Thread(target=self._run_thread, name="netcode client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the game; on a thread of its own, wait until everything is gone. Idempotent."""
        self._leaving = True
        self._on_loop(self._guest.close)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        self._settled.wait()
        self._raise_unless_joined()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        if self._thread is not None or self._task is not None:
            raise UsageError("this client has been started already: connect() makes a new one")
        settled = asyncio.Event()

        def state_changed() -> None:
            self._state_changed()
            settled.set()

        self._guest.on_state_change = state_changed
        self._task = asyncio.create_task(self._run(), name="netcode client")
        try:
            await settled.wait()
            self._raise_unless_joined()
        except BaseException:
            await self._finish()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._finish()

    async def _finish(self) -> None:
        self._guest.close()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _raise_unless_started(self) -> None:
        if self._thread is None and self._task is None:
            raise UsageError("this client has not joined: use `with nc.connect(...) as client:`")

    def _raise_unless_joined(self) -> None:
        error = self._guest.ended
        if error is None:
            return
        if self._thread is not None:
            self._thread.join()
        raise error

    def _state_changed(self) -> None:
        self._settled.set()
        self._wake()

    # -- the network's side ------------------------------------------------------------------

    def _run_thread(self) -> None:
        with prompt_switching:
            asyncio.run(self._run())

    async def _run(self) -> None:
        """Join, keep the link going, and clean up. Ends when the session has ended."""
        self._loop = asyncio.get_running_loop()
        if self._leaving:  # closed before this thread had come so far
            self._guest.close()
        try:
            await self._join_and_play()
        except NetcodeError as error:
            self._guest.end(error)
        except Exception as error:
            self._guest.end(Disconnected(f"netcode failed: {error!r}"))
            raise
        finally:
            self._guest.end(Disconnected("left"))
            if self._transport is not None:
                await part(self._transport)
            if self._conditioner is not None:
                self._conditioner.close()
            self._loop = None

    async def _join_and_play(self) -> None:
        joining = asyncio.create_task(self._meet())
        ended = asyncio.create_task(self._until(lambda: self._guest.ended is not None))
        try:
            await asyncio.wait(
                [joining, ended], timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if self._guest.ended is not None:
                return
            if not joining.done():
                raise Unreachable(
                    f"{self._url} did not let this player in within {self._timeout:g} s"
                )
            transport = joining.result()
        finally:
            for task in (joining, ended):
                task.cancel()
            await asyncio.wait([joining, ended])
        link = self._guest.attach(transport)
        await self._pump(link)

    async def _meet(self) -> WebRtcTransport:
        """From the URL to an open transport. Raises a `JoinError` that says what went wrong."""
        member = await self._enter(name=self._guest.name or "player", timeout=self._timeout)
        self._conditioner = Conditioner(seed=random.getrandbits(32))
        self._set_weather()
        introductions = Introductions(
            member.send,
            ice_servers=lambda: member.ice_servers,
            filters=lambda: self._conditioner,
        )
        listening = asyncio.create_task(self._listen(member, introductions))
        try:
            if member.host is None:
                raise Unreachable(
                    f"there is a signaling server at {self._url}, but no game: "
                    "start the game's server there"
                )
            # Kept at once: whatever happens from here on, `_run` closes it.
            self._transport = await introductions.call(member.host)
            return self._transport
        except signaling.ConnectionLost as error:
            raise Unreachable(f"{self._url} hung up: {error}") from None
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            await introductions.close()
            await member.close()

    async def _listen(
        self, member: signaling.SignalingClient, introductions: Introductions
    ) -> None:
        with suppress(signaling.ConnectionLost):  # the call under way ends by its own timeout
            async for message in member:
                introductions.take(message)

    async def _pump(self, link: Link) -> None:
        deadline = time.monotonic() + self._timeout
        while link.is_open:
            self._guest.pump()
            if not self._guest.joined and time.monotonic() > deadline:
                link.close("the server did not answer")
                raise Unreachable(f"{self._url} did not answer the hello: is it overloaded?")
            await self._sleep(self._guest.next_timer() - time.monotonic())

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._sleep(0.1)

    async def _sleep(self, seconds: float) -> None:
        """Wait, at least for one turn of the loop, but not longer than until `_wake`."""
        self._woken.clear()
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    def _wake(self) -> None:
        self._on_loop(self._woken.set)

    def _on_loop(self, call: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has closed in the meantime
                loop.call_soon_threadsafe(call)

    def _set_weather(self) -> None:
        if self._conditioner is not None:
            self._conditioner.conditions = self._weather
