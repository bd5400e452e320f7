"""Two links over a wire in memory, stepped by a manual clock."""

from netcode.link.delivery import Delivery
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.testing import ManualClock
from netcode.transports.link_model import Conditions
from netcode.transports.loopback import LoopbackTransport, loopback_pair

STEP = 1 / 200


class End:
    """One link, and everything it heard."""

    def __init__(self, transport: LoopbackTransport, clock: ManualClock) -> None:
        self.transport = transport
        self.session = Session()
        self.heard: list[tuple[str, bytes]] = []
        self.datagrams: list[bytes] = []
        self.closed: list[str] = []
        self.link = Link(
            transport,
            self.session,
            clock,
            on_message=self.on_message,
            on_datagram=self.datagrams.append,
            on_closed=self.closed.append,
        )

    def on_message(self, channel: Channel, payload: bytes) -> None:
        self.heard.append((channel.name, payload))

    def got(self, name: str) -> list[bytes]:
        return [payload for heard, payload in self.heard if heard == name]


class Lab:
    """Ends ``a`` and ``b``, started, on a wire with the same weather both ways."""

    def __init__(self, weather: Conditions | None = None, seed: int = 1) -> None:
        self.clock = ManualClock()
        near, far, self.wire = loopback_pair(self.clock, forth=weather, back=weather, seed=seed)
        self.a, self.b = End(near, self.clock), End(far, self.clock)
        self.a.link.start()
        self.b.link.start()

    def open(self, name: str, delivery: Delivery) -> tuple[Channel, Channel]:
        return self.a.session.open(name, delivery)[0], self.b.session.open(name, delivery)[0]

    def run(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until - 1e-9:
            self.clock.advance(STEP)
            self.wire.advance(self.clock.now)
            self.a.link.pump()
            self.b.link.pump()
