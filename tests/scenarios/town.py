"""Circles of a mesh without a network: a room that hands out ids, lines in memory, one clock.

It does what `netcode.mesh.mesh` does with an event loop: who comes in calls those who are there,
a lost peer is called by whoever called it first, and calls take their time.
"""

import random
from collections.abc import Callable
from itertools import count

from netcode.link.delivery import RELIABLE, UNORDERED
from netcode.link.link import Link
from netcode.link.session import Channel
from netcode.mesh.circle import Circle
from netcode.mesh.peer import MeshPeer
from netcode.testing import ManualClock
from netcode.transports.base import Transport
from netcode.transports.link_model import Conditions
from netcode.transports.loopback import LoopbackWire, loopback_pair

STEP = 1 / 100
LINGER = 1.0
RETRY = 0.5
SETTLE = 1.0


class Town:
    """A room and everybody who is, or was, in it."""

    def __init__(self, seed: int, weather: Conditions, *, grace: float = 10.0) -> None:
        print("seed", seed)
        self.clock = ManualClock()
        self.rng = random.Random(seed)
        self.grace = grace
        self.members: dict[str, End] = {}
        """Who is in the room, by the ids of now."""
        self.ends: list[End] = []
        self.wires: list[tuple[frozenset[End], LoopbackWire]] = []
        self._weather = weather
        self._ids = count()
        self._later: list[tuple[float, Callable[[], object]]] = []

    def come(self, name: str) -> "End":
        """Somebody new comes into the room."""
        end = End(self, name)
        self.ends.append(end)
        end.enter()
        return end

    def new_id(self) -> str:
        # In no order: which of two ids is less must not depend on who came first.
        return f"{self.rng.randrange(1 << 32):08x}-{next(self._ids)}"

    def name_of(self, room_id: str) -> str:
        return self.members[room_id].name if room_id in self.members else "somebody"

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        self._later.append((self.clock.now + seconds, do))

    def line(self, caller: "End", there: str) -> tuple[Transport, Callable[[], None]] | None:
        """A call: the caller's end of a new line, and what makes it ring at the other end."""
        callee, here = self.members.get(there), caller.circle.room_id
        if callee is None or self.members.get(here) is not caller:
            return None
        seed = self.rng.getrandbits(32)
        near, far, wire = loopback_pair(
            self.clock, forth=self._weather, back=self._weather, seed=seed
        )
        self.wires.append((frozenset((caller, callee)), wire))
        answer = callee.circle.answer
        return near, lambda: answer(far, there, here, caller.name)

    def cut(self, one: "End", other: "End") -> None:
        """All lines between two that are there now are dead, and nobody is told."""
        for ends, wire in self.wires:
            if ends == {one, other}:
                wire.cut()

    def stop_signaling(self) -> None:
        for member in list(self.members.values()):
            member.drop_out()

    def run(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until - 1e-9:
            self.clock.advance(STEP)
            now = self.clock.now
            due = [do for at, do in self._later if at <= now]
            self._later = [(at, do) for at, do in self._later if at > now]
            for do in due:
                do()
            for _, wire in self.wires:
                wire.advance(now)
            for end in self.ends:
                end.step()

    def run_until(self, condition: Callable[[], bool], within: float) -> None:
        until = self.clock.now + within
        while not condition():
            assert self.clock.now < until, f"did not come true: {[end.news for end in self.ends]}"
            self.run(STEP)

    def all_connected(self) -> bool:
        return all(
            [peer.id for peer in end.up()]
            == sorted(other.id for other in self.ends if other is not end)
            for end in self.ends
        )


class End:
    """One end of the mesh: a circle, what has happened to it, and what it has heard."""

    def __init__(self, town: Town, name: str) -> None:
        self.town = town
        self.name = name
        self.news: list[str] = []
        self.said: dict[tuple[str, str], int] = {}
        self.heard: dict[tuple[str, str], list[int]] = {}
        self.asleep = False
        self._elders: set[str] = set()
        self._entered_at = 0.0
        self._busy: dict[str, float] = {}
        self.circle = Circle(
            town.clock,
            grace=town.grace,
            entropy=town.rng.randbytes,
            on_join=self._joined,
            on_leave=lambda peer: self.news.append(f"left {peer.name}: {peer.left_because}"),
            on_reconnecting=lambda peer: self.news.append(f"reconnecting {peer.name}"),
            on_resumed=lambda peer: self.news.append(f"resumed {peer.name}"),
            on_message=self._message,
            on_retired=self._retired,
            present=lambda: town.members if self.is_in else (),
        )

    @property
    def id(self) -> str:
        return self.circle.id

    @property
    def is_in(self) -> bool:
        return self.town.members.get(self.circle.room_id) is self

    def up(self) -> list[MeshPeer]:
        peers = [peer for peer in self.circle.peers.values() if peer._connection.is_up]
        return sorted(peers, key=lambda peer: peer.id)

    def enter(self) -> None:
        room_id = self.town.new_id()
        self._elders = set(self.town.members)
        self._entered_at = self.town.clock.now
        self.town.members[room_id] = self
        self.circle.enter(room_id)

    def drop_out(self) -> None:
        """The connection to signaling is lost."""
        self.town.members.pop(self.circle.room_id, None)

    def step(self) -> None:
        if self.asleep:
            return
        self.circle.pump()
        now = self.town.clock.now
        for peer in list(self.circle.peers.values()):
            lost = not peer._connection.is_up or peer._connection.silence() > 1.0
            if lost and peer._called and peer._connection.ticket is not None:
                self._call(peer._room_id, peer)
        if self.circle.is_settled() or now - self._entered_at > SETTLE:
            for there in sorted(self._elders & self.town.members.keys()):
                if self.circle.should_meet(there):
                    self._call(there, None)

    def say(self, peer: MeshPeer) -> None:
        """A numbered message on each of two channels."""
        for delivery in (RELIABLE, UNORDERED):
            channel, _ = peer._connection.session.open("talk", delivery)
            key = (peer.id, delivery.name)
            number = self.said.get(key, 0)
            size = 30_000 if number % 50 == 25 else 4
            peer._connection.send(channel, number.to_bytes(4, "big") + bytes(size))
            self.said[key] = number + 1

    def _call(self, there: str, peer: MeshPeer | None) -> None:
        now = self.town.clock.now
        if now < self._busy.get(there, 0.0):
            return
        self._busy[there] = now + RETRY + self.town.rng.random()
        line = self.town.line(self, there)
        if line is None:
            return
        near, ring = line
        here, name = self.circle.room_id, self.town.name_of(there)

        def open_here() -> None:
            if peer is None:
                self.circle.greet(near, here, there, name, lambda: None)
            elif peer.left_because is None:
                peer._connection.come_back(near)

        # Either end may find first that the line is open.
        self.town.later(self.town.rng.uniform(0.0, 0.3), open_here)
        self.town.later(self.town.rng.uniform(0.0, 0.3), ring)

    def _joined(self, peer: MeshPeer) -> None:
        self.news.append(f"joined {peer.name}")
        for delivery in (RELIABLE, UNORDERED):
            channel, waiting = peer._connection.session.open("talk", delivery)
            for payload in waiting:
                self._message(peer, channel, payload)

    def _message(self, peer: MeshPeer, channel: Channel, payload: bytes) -> None:
        key = (peer.id, channel.delivery.name)
        self.heard.setdefault(key, []).append(int.from_bytes(payload[:4], "big"))

    def _retired(self, link: Link) -> None:
        self.town.later(LINGER if link.is_open else 0.0, link.transport.close)
