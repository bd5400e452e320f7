"""The server: signaling and the game in one process, driven by an event loop."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from netcode.core.host import GRACE, MAX_REWIND, Host
from netcode.core.join import MAX_DRAIN_SECONDS, Identity
from netcode.core.server_side import ServerSide
from netcode.doors import as_ours
from netcode.errors import UsageError
from netcode.introductions import Introductions, OnTransport, part
from netcode.link.link import Link
from netcode.link.tickets import as_ticket
from netcode.protocol import Protocol
from netcode.relay import DEFAULT_RELAY, GameRelay, Relay
from netcode.server_voice import ServerVoice
from netcode.sync.budget import Budget
from netcode.sync.interest import Interest
from netcode.sync.priority import Priority
from netcode.transports.base import Transport
from netcode.transports.webrtc import WebRtcTransport
from netcode.voice.policies import VoicePolicy
from signaling import (
    Claims,
    IceServer,
    Incoming,
    LocalMember,
    SignalingLimits,
    SignalingServer,
)
from signaling import messages as m
from signaling.hosts import told_at
from signaling.stopping import Signals, first_of
from signaling.tls import File, server_context

log = logging.getLogger("netcode")

GAME_ROOM = "game"
"""The signaling room in which a server's players meet it, unless it names another one."""

SPARE_CALLERS = 16
"""Room for those who are told that the game is full."""

NETWORK_SHARE = 0.5
"""Time that packets get for each second spent on ticks, however late the ticks are. An event loop
reads one datagram of each socket a turn; without this a server that is too slow would let them
pile up, answer seconds late, and lose its players instead of some ticks."""

LINGER = 2.0
"""Seconds for which a link that has been replaced still takes in what was on its way."""


class Server(ServerSide):
    """A game server. ``server.run(port=8080)`` is all it takes.

    ``tick_rate`` is how often the game is simulated a second, ``broadcast_rate`` how often its
    state is sent; the second divides the first. ``interest`` says who is told about what
    (everything to everyone, unless told). ``budget`` bounds the bytes of state a second for each
    player, adapted to what the link bears, and ``priority`` says what goes first when that is not
    enough. ``max_rewind`` is how many seconds back `rewind` goes at most. ``grace`` is for how many
    seconds a player whose link has failed keeps its place; it comes back by itself, and 0 is never.
    ``voice`` lets players talk: it says who hears whom (`ProximityVoice`, `TeamVoice`,
    `EveryoneVoice`). ``seed`` is what `Step.random` draws from.

    ``join_secret`` (16 bytes at least) is what the game's back end signs join tokens with: players
    need one then, and are called as it says. It must name ``room``, so servers that share a secret
    have rooms of their own. ``origins`` are the web pages whose browsers are let in (all, unless
    told), ``trust_proxies`` the reverse proxies that are believed where a connection comes from.
    ``ice_servers`` may be a function of a player's name; see `signaling.SignalingServer`. They come
    before the server's own ``relay``, which is there for players who find no direct path; None
    switches it off (see `Relay`).

    Raises `UsageError` for values that could not work. All methods and handlers belong to the
    thread of the server's event loop.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        tick_rate: float = 60,
        broadcast_rate: float = 20,
        interest: Interest | None = None,
        priority: Priority | None = None,
        budget: Budget | None = None,
        max_players: int = 64,
        max_rewind: float = MAX_REWIND,
        grace: float = GRACE,
        voice: VoicePolicy | None = None,
        seed: int = 0,
        join_secret: bytes | str | None = None,
        room: str = GAME_ROOM,
        origins: Sequence[str] | None = None,
        trust_proxies: Sequence[str] = (),
        ice_servers: Iterable[IceServer] | Callable[[str], Sequence[IceServer]] = (),
        relay: Relay | None = DEFAULT_RELAY,
    ) -> None:
        super().__init__(
            Host(
                protocol,
                time.monotonic,
                tick_rate=tick_rate,
                broadcast_rate=broadcast_rate,
                interest=interest,
                priority=priority,
                budget=budget,
                max_players=max_players,
                max_rewind=max_rewind,
                grace=grace,
                voice=voice,
                seed=seed,
            )
        )
        self._host.on_link_closed = self._link_closed
        self._host.on_leave.append(lambda player: self._somebody_went.set())
        self._voice = None
        if self._host.voice is not None:
            self._voice = ServerVoice(self._host.voice, self.players.get)
        self._room = room
        self._relay = None if relay is None else GameRelay(relay)
        self._ice_servers = ice_servers if callable(ice_servers) else tuple(ice_servers)
        self._make_signaling = partial(
            SignalingServer,
            limits=SignalingLimits(max_peers_per_room=self._host.max_players + SPARE_CALLERS),
            join_secret=join_secret,
            origins=origins,
            trust_proxies=trust_proxies,
            ice_servers=self._ice_servers_for,
            tickets=self._claims_of_ticket,
            counts=self._counts,
        )
        with as_ours():
            self._make_signaling()
            if not callable(self._ice_servers):
                m.encode(m.IceServersRenewed(self._ice_servers))
            m.encode(m.Join(room, "server", "host"))
        self._asks_for_tokens = join_secret is not None
        self._signaling: SignalingServer | None = None
        self._member: LocalMember | None = None
        self._introductions: Introductions | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._partings: set[asyncio.Task[None]] = set()
        self._somebody_went = asyncio.Event()
        self._scheme, self._address = "ws", "127.0.0.1"

    @property
    def voice(self) -> ServerVoice:
        """Voice on this server. Raises `UsageError` if it was made without a policy for it."""
        if self._voice is None:
            raise UsageError("there is no voice here: nc.Server(..., voice=nc.EveryoneVoice())")
        return self._voice

    # -- running -----------------------------------------------------------------------------

    def run(
        self,
        port: int = 8080,
        host: str = "",
        *,
        cert: File | None = None,
        key: File | None = None,
        drain: float = 0.0,
    ) -> None:
        """Serve until Ctrl-C or SIGTERM. Port 0 takes a free one; "" listens everywhere.

        With a ``cert`` (and ``key``, if that is in a file of its own), PEM files both, players come
        by ``wss://``. SIGTERM gives those who are there ``drain`` seconds to finish (see `drain`);
        a second signal ends the server at once.

        Raises `OSError` if the port is taken, or one that `Relay` names, `UsageError` for files
        that cannot be used.
        """
        if not 0 <= drain <= MAX_DRAIN_SECONDS:
            raise UsageError(f"drain is 0 to {MAX_DRAIN_SECONDS:.0f} seconds, not {drain!r}")
        with suppress(KeyboardInterrupt):
            asyncio.run(self._run(port, host, cert, key, drain))

    async def start(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        cert: File | None = None,
        key: File | None = None,
    ) -> None:
        """Begin to serve on the running event loop; `stop` ends it. See `run`.

        Raises `OSError` if the port is taken, or one that `Relay` names, `UsageError` if it has
        been started already, or for files that cannot be used. Cancelling it stops what had begun.
        """
        if self._signaling is not None:
            raise UsageError("this server runs already")
        with as_ours():
            tls = None if cert is None else server_context(cert, key)
            signaling = self._make_signaling()
        member = signaling.attach(self._room, "server", self._heard)
        try:
            await signaling.start(host or None, port, ssl=tls)
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot serve on port {port} ({error.strerror}): does another server run there? "
                "Stop it, or choose another port",
            ) from None
        if self._relay is not None:
            try:
                await self._relay.start(host, signaling.port, tls)
            except BaseException:
                await signaling.stop()
                raise
        self._signaling = signaling
        self._scheme, self._address = "ws" if tls is None else "wss", host or "127.0.0.1"
        self._host.is_draining = False
        self._member = member
        self._introductions = Introductions(
            self._say,
            send_to=self._send_to,
            ice_servers=self._own_ice_servers,
            on_call=self._called,
            on_answering=self._answering,
        )
        self._ticking = asyncio.create_task(self._tick_forever(), name="netcode ticks")

    async def drain(self, seconds: float) -> None:
        """Stop without cutting anybody off: nobody new, everybody told, wait, then `stop`.

        Newcomers are refused with a reason. Players hear it (`Client.draining`), and so do the
        handlers of `on_drain`. It waits until all players have left, but not longer than
        ``seconds`` (0 to 86,400). Harmless if the server does not run. Cancelling it leaves the
        server running, still letting nobody in. Raises `UsageError` for a time that makes no sense.
        """
        if self._signaling is None:
            return
        with as_ours():
            self._signaling.begin_draining(seconds)
        self._host.drain(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.players:
                    self._somebody_went.clear()
                    await self._somebody_went.wait()
        await self.stop("the server is going away")

    async def stop(self, reason: str = "the server has stopped") -> None:
        """Say goodbye to everybody and stop. Harmless if it does not run.

        Raises what a tick handler had raised, if that is why the server stopped ticking.
        """
        if self._signaling is None:
            return
        signaling, self._signaling = self._signaling, None
        ticking, self._ticking = self._ticking, None
        assert ticking is not None
        assert self._introductions is not None
        ticking.cancel()
        self._host.close(reason)
        await asyncio.wait([ticking])
        await self._introductions.close()
        if self._partings:
            await asyncio.wait(self._partings)
        await self._introductions.hang_up()
        await signaling.stop()
        if self._voice is not None:
            self._voice.stop_recording()
        if self._relay is not None:
            await self._relay.stop()
        if not ticking.cancelled():
            ticking.result()

    async def wait_stopped(self) -> None:
        """Return when the server has stopped ticking; raises what a tick handler has raised."""
        if self._ticking is not None:
            await asyncio.shield(self._ticking)

    async def __aenter__(self) -> Self:
        if self._signaling is None:
            await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port on which players find the server. Raises `UsageError` unless it runs."""
        if self._signaling is None:
            raise UsageError("the server does not run: await server.start() first")
        return self._signaling.port

    @property
    def url(self) -> str:
        """What players on this machine pass to `connect`."""
        return f"{self._scheme}://{self._address}:{self.port}"

    async def _run(
        self, port: int, host: str, cert: File | None, key: File | None, drain: float
    ) -> None:
        await self.start(port, host, cert=cert, key=key)
        ticking = self._ticking
        assert ticking is not None
        with Signals() as told:

            async def drain_when_told() -> None:
                await told.drain.wait()
                await self.drain(drain)

            async def rules_failed() -> None:
                await asyncio.wait([ticking])
                if ticking.cancelled():  # they did not: the server is being stopped
                    await told.stop.wait()

            url = f"{self._scheme}://localhost:{self.port}"
            print(f"netcode: serving on {url} (Ctrl-C stops)", flush=True)
            try:
                await first_of(told.stop.wait(), drain_when_told(), rules_failed())
            finally:
                await self.stop()

    async def _tick_forever(self) -> None:
        while True:
            start = time.monotonic()
            self._host.advance()
            now = time.monotonic()
            if self._voice is not None:
                self._voice.step(now)
            network = (now - start) * NETWORK_SHARE
            await asyncio.sleep(max(network, self._host.next_timer() - now))

    # -- links -------------------------------------------------------------------------------

    def _heard(self, message: Incoming) -> None:
        if self._introductions is not None:
            self._introductions.take(message)

    async def _say(self, message: m.PeerMessage) -> None:
        if self._member is not None:
            self._member.send(message)

    async def _send_to(self, peer: str, data: bytes) -> None:
        if self._member is not None:
            self._member.send_to(peer, data)

    def _ice_servers_for(self, name: str) -> Sequence[IceServer]:
        """What a member is told. aiortc takes the first of each kind: the operator's, if any."""
        return (
            *self._given_to(name),
            *(() if self._relay is None else self._relay.ice_servers(name)),
        )

    def _given_to(self, name: str) -> Sequence[IceServer]:
        return self._ice_servers(name) if callable(self._ice_servers) else self._ice_servers

    def _own_ice_servers(self) -> Sequence[IceServer]:
        """What the server itself uses for its next transport: not its own relay."""
        assert self._member is not None
        try:
            return told_at(self._given_to(self._member.id), None)
        except Exception:
            log.exception("the ice_servers function failed; the server goes on without")
            return ()

    def _answering(self, transport: WebRtcTransport) -> None:
        if self._relay is not None:
            self._relay.let_through_to(transport)

    def _counts(self) -> dict[str, int]:
        """What ``/healthz`` tells besides signaling's own counts."""
        counts = {"players": len(self.players)}
        if self._relay is not None:
            counts["allocations"] = self._relay.allocations
        return counts

    def _claims_of_ticket(self, token: str) -> Claims | None:
        """What is known of a player who comes back, from the ticket that it got in the game: its
        join token may have expired since."""
        ticket = as_ticket(token)
        player = None if ticket is None else self._host.holder(ticket)
        if player is None:
            return None
        identity = player.identity or Identity(player.name, None, f"player {player.id}")
        return Claims(identity.name, self._room, float("inf"), identity.seat, identity.subject)

    def _called(self, peer: str) -> OnTransport:
        """A player calls, who is a member of the room at this moment: who that is, is known now.

        The description that it sends names the certificate of its transport. So whoever is at the
        other end of that transport is the one that signaling has checked.
        """
        claims = None if self._signaling is None else self._signaling.claims_of(peer)
        identity = None
        if claims is not None:
            identity = Identity(claims.name, claims.subject, claims.id)
        return lambda transport: self._met(peer, identity, transport)

    def _met(self, peer: str, identity: Identity | None, transport: Transport) -> None:
        if self._signaling is None or (identity is None and self._asks_for_tokens):
            self._part(transport)  # stopping, or a caller whom signaling has not checked
        else:
            self._host.attach(transport, identity, peer)

    def _link_closed(self, link: Link) -> None:
        self._part(link.transport, linger=LINGER if link.is_open else 0.0)

    def _part(self, transport: Transport, linger: float = 0.0) -> None:
        parting = asyncio.create_task(part(transport, linger), name="netcode parting")
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)
