"""The client: a player's end of a game, for a plain ``while`` loop or for asyncio."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from os import PathLike
from types import TracebackType
from typing import Self

from netcode.core.client_side import ClientSide
from netcode.core.guest import INPUT_RATE, Guest
from netcode.core.messaging import Reply
from netcode.core.voice_words import VoiceRules
from netcode.declarations import Input, Message
from netcode.doors import door, trust
from netcode.errors import (
    Disconnected,
    NetcodeError,
    Unreachable,
    UsageError,
)
from netcode.introductions import part
from netcode.ladder import checked_rungs
from netcode.lifeline import Lifeline
from netcode.link.link import Link
from netcode.protocol import Protocol
from netcode.reach import Reach
from netcode.server import GAME_ROOM
from netcode.switching import prompt_switching
from netcode.transports.conditioner import Conditioner
from netcode.transports.link_model import Conditions
from netcode.transports.link_model import conditions as conditions_of
from netcode.voice.chat import Voice, VoiceChat

JOIN_TIMEOUT = 15.0
"""Seconds from `connect` to being in the game, or to an error that says what is wrong."""

LONGEST_SLEEP = 0.25
"""Seconds between looks at the links, if nothing is due before."""

LOSS_INTERVAL = 1.0
"""Seconds between looks at what the line loses, for the voice that goes out."""

LINGER = 1.0
"""Seconds for which a link that has been replaced still takes in what was on its way."""


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
    rungs: Sequence[str] | None = None,
    voice: Voice | None = None,
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
    ``rungs`` are the ways to the server that may be used, all of them unless told: ``"direct"``;
    ``"turn_udp"`` and ``"turn_tcp"``, by a relay; ``"websocket"``, through the signaling server.
    The better ones have half a second's head start each, and are tried again later: the game moves
    over without noticing. Without ``"direct"`` the server never learns this player's address from
    WebRTC.

    ``voice`` lets this player talk to others and hear them, where the server has a voice policy:
    see `Client.voice`.

    A link that fails is replaced while the game goes on: see `Client.reconnecting`.

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
        room=room,
        token=token,
        ca_file=ca_file,
        conditions=conditions,
        input_rate=input_rate,
        rungs=rungs,
        voice=voice,
        timeout=timeout,
    )


class Client(ClientSide):
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
        room: str,
        token: str | None,
        ca_file: str | PathLike[str] | None,
        conditions: str | Conditions | None,
        input_rate: float,
        rungs: Sequence[str] | None,
        voice: Voice | None,
        timeout: float,
    ) -> None:
        if not isinstance(protocol, Protocol):
            raise UsageError(f"connect takes the game's Protocol second, not {protocol!r}")
        if not isinstance(name, str):
            raise UsageError(f"a name is a text, not {name!r}")
        if not (isinstance(input_rate, (int, float)) and 10 <= input_rate <= 60):
            raise UsageError(f"input_rate is 10 to 60 packets a second, not {input_rate!r}")
        self._url = url
        self._timeout = timeout
        self._weather: str | Conditions | None = None
        self._conditioner: Conditioner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._settled = threading.Event()
        self._leaving = False
        super().__init__(Guest(protocol, name, time.monotonic, self._wake, input_rate))
        self._guest.on_state_change = self._state_changed
        self._guest.on_link_retired = self._retired
        self._reach = Reach(
            url,
            door(url, room=room, token=token, ca_file=ca_file),
            name=name,
            filters=lambda: self._conditioner,
            tls=trust(ca_file),
        )
        self._lifeline = Lifeline(self._guest, self._reach, checked_rungs(rungs), token)
        if not isinstance(voice, Voice | None):
            raise UsageError(f"voice takes nc.Voice(), not {voice!r}")
        self._voice = None if voice is None else VoiceChat(voice)
        self._partings: set[asyncio.Task[None]] = set()
        self.conditions = conditions

    # -- the game ----------------------------------------------------------------------------

    def update(self, *inputs: Input) -> None:
        self._raise_unless_started()
        if self._voice is not None:
            self._voice.update()
        super().update(*inputs)

    def send(self, message: Message) -> None:
        self._raise_unless_started()
        super().send(message)

    def request(self, message: Message) -> Reply[Message]:
        self._raise_unless_started()
        return super().request(message)

    @property
    def voice(self) -> VoiceChat:
        """This player's voice chat. Raises `UsageError` if `connect` was not given ``voice``."""
        if self._voice is None:
            raise UsageError("there is no voice here: nc.connect(..., voice=nc.Voice())")
        return self._voice

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
            self._guest.close("left")
            if self._voice is not None:
                self._voice.close()
            while self._partings:
                await asyncio.wait(self._partings)
            await self._reach.close()
            if self._conditioner is not None:
                self._conditioner.close()
            self._loop = None

    async def _join_and_play(self) -> None:
        self._conditioner = Conditioner(seed=random.getrandbits(32))
        self._set_weather()
        joining = asyncio.create_task(self._lifeline.join(self._timeout))
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
            joining.result()
        finally:
            for task in (joining, ended):
                task.cancel()
            await asyncio.wait([joining, ended])
        keeping = asyncio.create_task(self._lifeline.keep(), name="netcode lifeline")
        try:
            await self._pump()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
        if not keeping.cancelled():
            keeping.result()

    async def _pump(self) -> None:
        """Carry what the guest sends, until its game is over."""
        deadline = time.monotonic() + self._timeout
        has_voice, look_at_loss = False, 0.0
        while self._guest.ended is None:
            self._guest.pump()
            if self._guest.joined and not has_voice:
                has_voice = True
                self._start_voice()
            if self._voice is not None and time.monotonic() >= look_at_loss:
                look_at_loss = time.monotonic() + LOSS_INTERVAL
                # That of the way here stands for that of the way there, which nobody tells.
                self._voice.line_loses(self._guest.stats().loss)
            if not self._guest.joined and time.monotonic() > deadline:
                self._guest.close("the server did not answer")
                raise Unreachable(f"{self._url} did not answer the hello: is it overloaded?")
            await self._sleep(min(LONGEST_SLEEP, self._guest.next_timer() - time.monotonic()))

    def _start_voice(self) -> None:
        """Talk and hear, as soon as the server says that there is voice in this game."""
        self._guest.voice.on_rules = self._obey
        if self._guest.voice.rules is not None:
            self._obey(self._guest.voice.rules)

    def _obey(self, rules: VoiceRules) -> None:
        chat, voice = self._voice, self._guest.voice
        if chat is None:
            # Or the server would send voices to somebody who has no ears.
            voice.on_rules = lambda rules: None
            voice.want(False)
            return
        chat.obey(rules.full, rules.silent, rules.recording)
        if not chat.has_begun:
            voice.listen(chat.take)
            chat.start(self._guest.player_id, voice)

    def _retired(self, link: Link) -> None:
        """A link has ended, or another one has taken its place."""
        parting = asyncio.create_task(
            part(link.transport, LINGER if link.is_open else 0.0), name="netcode parting"
        )
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)

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
