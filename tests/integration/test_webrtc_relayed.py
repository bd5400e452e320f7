"""WebRTC transports through a relay: who uses it, which rung that is, and what is told of it."""

from collections.abc import AsyncIterator

import pytest

from netcode.errors import Unreachable, UsageError
from netcode.transports.base import Lane
from netcode.transports.webrtc import IceServer, WebRtcTransport
from signaling.turn import TurnServer
from tests.integration.turn_lab import HOST, ice_server, relay
from tests.integration.webrtc_lab import End, Lab, introduce, open_both


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as lab:
        yield lab


def through(turn: TurnServer, transport: str = "udp", **credential: object) -> list[IceServer]:
    """What a client is told of a relay on loopback."""
    told = ice_server(f"turn:{HOST}:{turn.port}?transport={transport}", **credential)  # type: ignore[arg-type]
    return [IceServer(told.urls, told.username, told.credential)]


async def exchange(a: WebRtcTransport, b: WebRtcTransport) -> None:
    ends = End(a), End(b)
    for end in ends:
        end.start()
    a.send(Lane.RELIABLE, b"there")
    await ends[1].until(lambda: ends[1].on(Lane.RELIABLE) == [b"there"])
    b.send(Lane.RELIABLE, b"and back")
    await ends[0].until(lambda: ends[0].on(Lane.RELIABLE) == [b"and back"])


@pytest.mark.parametrize("way", ["udp", "tcp"])
async def test_who_may_only_use_the_relay_shows_nothing_of_its_own(way: str) -> None:
    async with relay(allow=[HOST]) as turn, Lab() as lab:
        a = lab.transport(ice_servers=through(turn, way), relay_only=True)
        b = lab.transport(ice_servers=through(turn, way), relay_only=True)
        await introduce(a, b)
        assert turn.allocations == 2
        for sdp in (a._pc.localDescription.sdp, b._pc.localDescription.sdp):
            lines = [line for line in sdp.splitlines() if line.startswith("a=candidate:")]
            assert len(lines) == 1
            assert f" {HOST} " in lines[0]
            assert lines[0].endswith("typ relay raddr 0.0.0.0 rport 9")
        await open_both(a, b)
        assert a.rung == b.rung == f"turn_{way}"
        assert a.local_addresses() == b.local_addresses() == []
        await exchange(a, b)
        a.close()
        assert a.rung == f"turn_{way}"


async def test_a_relay_that_only_the_other_end_uses_is_one_over_udp() -> None:
    async with relay(allow=["0.0.0.0/0", "::/0"]) as turn, Lab() as lab:
        a = lab.transport(ice_servers=through(turn, "tcp"), relay_only=True)
        b = lab.transport()
        await introduce(a, b)
        await open_both(a, b)
        assert (a.rung, b.rung) == ("turn_tcp", "turn_udp")
        assert b.local_addresses()
        await exchange(a, b)


async def test_what_needs_no_relay_is_direct(lab: Lab) -> None:
    a, b = lab.transport(), lab.transport()
    assert a.local_addresses() == []
    with pytest.raises(UsageError, match="not open yet"):
        _ = a.rung
    await introduce(a, b)
    await open_both(a, b)
    assert a.rung == b.rung == "direct"
    opened = a.local_addresses()
    assert opened
    assert set(opened).isdisjoint(b.local_addresses())
    a.close()
    await a.wait_closed()
    assert a.local_addresses() == opened


async def test_without_a_relay_there_is_nothing_to_offer(lab: Lab) -> None:
    a = lab.transport(relay_only=True)
    with pytest.raises(Unreachable, match="no address to offer"):
        await a.offer()
    assert a.local_addresses() == []
