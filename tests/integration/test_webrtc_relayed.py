"""WebRTC transports through a relay: who uses it, which rung that is, and what is told of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import aioice.stun
import pytest

from netcode.errors import Unreachable, UsageError
from netcode.transports import path_finding
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


# --- when the relay goes away --------------------------------------------------------------------


@pytest.mark.parametrize("way", ["udp", "tcp"])
@pytest.mark.parametrize("both", [True, False], ids=["both relayed", "one relayed"])
async def test_a_relay_that_dies_ends_nothing_but_the_link(way: str, both: bool) -> None:
    async with Lab() as lab, relay(allow=["0.0.0.0/0", "::/0"], hosts=[]) as turn:
        a = lab.transport(ice_servers=through(turn, way), relay_only=True)
        b = lab.transport(ice_servers=through(turn, way) if both else (), relay_only=both)
        await introduce(a, b)
        await open_both(a, b)
        ends = End(a), End(b)
        for end in ends:
            end.start()
            end.transport.send(Lane.RELIABLE, b"in flight")
        await turn.stop()
        for end in ends:
            for lane in Lane:
                end.transport.send(lane, bytes(1_000))
        if way == "tcp":
            # The lost connection says so at once; over UDP nothing does, and heartbeats must.
            await ends[0].until(lambda: len(ends[0].reasons) == 1)
        begin = time.monotonic()
        for end in ends:
            end.transport.close()
            await end.transport.wait_closed()
        assert time.monotonic() - begin < 4
        assert all(end.transport.backlog() == 0 for end in ends)


async def test_a_relay_that_stops_while_it_is_asked() -> None:
    async with Lab() as lab, relay() as turn:
        a = lab.transport(ice_servers=through(turn, "tcp"), relay_only=True)
        offering = asyncio.create_task(a.offer())
        await asyncio.sleep(0)
        await turn.stop()
        with pytest.raises(Unreachable, match=r"TURN server \S+ over TCP: "):
            await offering


# --- direct before relayed -----------------------------------------------------------------------


def slow_down(transport: WebRtcTransport, delay: float, *types: str) -> None:
    """Let what leaves by candidates of these types leave later."""
    assert transport._internals is not None
    loop = asyncio.get_running_loop()
    for protocol in transport._internals._connection._protocols:
        if protocol.local_candidate.type in types:
            sending = protocol.transport

            class Slow:
                def __init__(self, sending: Any) -> None:
                    self._sending = sending

                def sendto(self, data: bytes, addr: Any) -> None:
                    loop.call_later(delay, self._send, data, addr)

                def _send(self, data: bytes, addr: Any) -> None:
                    if not self._sending.is_closing():
                        self._sending.sendto(data, addr)

                def __getattr__(self, name: str) -> Any:
                    return getattr(self._sending, name)

            protocol.transport = Slow(sending)


@pytest.mark.parametrize("wait", [0.5, 0.0])
async def test_a_relay_that_answers_first_is_not_taken_for_that(
    wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_finding, "RELAY_WAIT", wait)
    async with relay(allow=["0.0.0.0/0", "::/0"], hosts=[]) as turn, Lab() as lab:
        a, b = (lab.transport(ice_servers=through(turn)) for _ in range(2))
        offer = await a.offer()
        slow_down(a, 0.1, "host")
        answer = await b.answer(offer)
        slow_down(b, 0.1, "host")
        await a.accept(answer)
        await open_both(a, b)
        assert (a.rung == b.rung == "direct") is (wait > 0)
        await exchange(a, b)


async def test_the_relay_is_taken_where_nothing_else_answers() -> None:
    async with relay(allow=["0.0.0.0/0", "::/0"], hosts=[]) as turn, Lab() as lab:
        a, b = (lab.transport(ice_servers=through(turn)) for _ in range(2))
        offer = await a.offer()
        slow_down(a, 3_600, "host")
        answer = await b.answer(offer)
        slow_down(b, 3_600, "host")
        await a.accept(answer)
        begin = time.monotonic()
        await open_both(a, b)
        assert time.monotonic() - begin >= path_finding.RELAY_WAIT * 0.9
        assert a.rung == b.rung == "turn_udp"
        await exchange(a, b)


@pytest.mark.parametrize("trickle", [True, False])
async def test_who_has_nothing_but_a_relay_does_not_wait(
    trickle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_finding, "RELAY_WAIT", 3_600)
    async with relay(allow=["0.0.0.0/0", "::/0"], hosts=[]) as turn, Lab() as lab:
        a = lab.transport(ice_servers=through(turn))
        b = lab.transport(ice_servers=through(turn), relay_only=True)
        answer = await b.answer(await a.offer())
        if trickle:
            lines = answer.splitlines()
            candidates = [line for line in lines if line.startswith("a=candidate:")]
            left_out = ("a=candidate:", "a=end-of-candidates")
            bare = [line for line in lines if not line.startswith(left_out)]
            await a.accept("\r\n".join(bare) + "\r\n", trickle=True)
            for line in candidates:
                await a.add_candidate(line, "0", 0)
            await a.add_candidate(None, "0", 0)
        else:
            await a.accept(answer)
        await open_both(a, b)
        await exchange(a, b)


@pytest.mark.parametrize(("tries", "stays"), [(2, True), (0, False)])
async def test_consent_is_not_what_ends_a_far_player(
    tries: int, stays: bool, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a tenth of the real times: a round trip of 120 ms where aioice waits for 50."""
    monkeypatch.setattr(path_finding, "CONSENT_RETRANSMISSIONS", tries)
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.02)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.05)
    a, b = await lab.pair()
    for end in (a, b):
        slow_down(end.transport, 0.06, "host")
    assert a.transport._internals is not None
    consent = a.transport._internals._connection._query_consent_task
    done, _ = await asyncio.wait({consent}, timeout=1.5)
    assert (not done) is stays
    if stays:
        a.transport.send(Lane.RELIABLE, b"still here")
        await b.until(lambda: b.on(Lane.RELIABLE) == [b"still here"])
