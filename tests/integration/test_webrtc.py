"""Two WebRTC transports in one process: what arrives, in which order, and how links end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from netcode.errors import UsageError
from netcode.transports import webrtc
from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane, Transport
from netcode.transports.listener import MAX_EARLY_MESSAGES
from tests.integration.webrtc_lab import PATIENCE, End, Forward, Lab, Weather, introduce, open_both


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as lab:
        yield lab


async def test_all_lanes_carry_bytes_both_ways(lab: Lab) -> None:
    a, b = await lab.pair()
    messages = [b"", b"x", b"y" * 1_100, b"z" * MAX_TRANSPORT_MESSAGE]
    for sender, receiver in ((a, b), (b, a)):
        for lane in Lane:
            for message in messages:
                sender.transport.send(lane, message)
        await receiver.until(lambda r=receiver: len(r.received) == 4 * len(Lane))  # type: ignore[misc]
        for lane in Lane:
            assert sorted(receiver.on(lane)) == sorted(messages)
        assert receiver.on(Lane.RELIABLE) == messages

    size = len(Lane) * sum(map(len, messages))
    for end in (a, b):
        stats = end.transport.stats
        assert (stats.messages_sent, stats.messages_received) == (28, 28)
        assert (stats.bytes_sent, stats.bytes_received) == (size, size)
        assert stats.dropped == 0
    assert await a.transport.drain(PATIENCE)
    assert a.transport.backlog() == 0


async def test_an_open_transport_knows_its_path_and_round_trip(lab: Lab) -> None:
    a, b = await lab.pair()
    transport: Transport = a.transport
    assert transport.kind == "webrtc"
    assert a.transport.rtt() is None
    a.transport.send(Lane.RELIABLE, b"ping")
    assert await a.transport.drain(PATIENCE)
    rtt = a.transport.rtt()
    assert rtt is not None
    assert 0 <= rtt < 1
    types, protocol, address = a.transport.path().split()
    assert (types, protocol) == ("host-host", "udp")
    assert address
    assert b.transport.path()


async def test_a_probe_is_answered_by_itself_and_a_lost_one_is_not_sent_again(lab: Lab) -> None:
    a, b = await lab.pair()
    assert await a.transport.probe()
    assert await b.transport.probe()
    assert b.received == []  # nobody there was troubled

    internals = a.transport._internals
    assert internals is not None
    sent = []
    [protocol] = {pair.protocol for pair in internals._connection._nominated.values()}
    protocol.send_stun = lambda message, addr: sent.append(message)
    assert not await a.transport.probe()
    assert len(sent) == 1
    a.transport.close()
    await a.transport.wait_closed()
    assert not await a.transport.probe()


@pytest.mark.parametrize("seed", [1, 2])
async def test_loss_hits_only_the_lane_that_allows_it(lab: Lab, seed: int) -> None:
    weather = Weather(seed), Weather(seed + 100)
    a, b = await lab.pair(*weather)
    for each in weather:
        each.loss = 0.1
    count = 150
    for number in range(count):
        message = number.to_bytes(2, "big") * 100
        for lane in (Lane.RELIABLE, Lane.UNORDERED, Lane.UNRELIABLE):
            a.transport.send(lane, message)
        await asyncio.sleep(0)  # Lets packets leave, so that losses are spread over the run.
    everything = [number.to_bytes(2, "big") * 100 for number in range(count)]

    await b.until(lambda: len(b.on(Lane.RELIABLE)) == len(b.on(Lane.UNORDERED)) == count)
    assert b.on(Lane.RELIABLE) == everything
    assert sorted(b.on(Lane.UNORDERED)) == everything
    unreliable = b.on(Lane.UNRELIABLE)
    assert weather[0].lost > 0
    assert 0.6 * count < len(unreliable) < count
    assert set(unreliable) <= set(everything)


async def test_a_lost_last_message_is_not_late(lab: Lab) -> None:
    """No later packet reveals the loss, so only the retransmission timeout helps: 1 s in stock
    aiortc, 0.2 s here, and up to 3 round trips of a loaded machine on top."""
    weather = Weather()
    a, b = await lab.pair(weather)
    for _ in range(10):  # Until the RTT is known, the longer initial timeout holds.
        a.transport.send(Lane.RELIABLE, b"before")
        assert await a.transport.drain(PATIENCE)
    weather.drop_next = 1
    begin = time.monotonic()
    a.transport.send(Lane.RELIABLE, b"last")
    await b.until(lambda: b.on(Lane.RELIABLE)[-1:] == [b"last"])
    late = time.monotonic() - begin
    assert weather.lost == 1
    assert 0.15 < late < 0.6


async def test_expired_messages_are_given_up(lab: Lab) -> None:
    weather = Weather()
    a, b = await lab.pair(weather)
    weather.loss = 1.0
    a.transport.send(Lane.EXPIRING_100, b"stale")
    assert a.transport.backlog() == 5
    assert not await a.transport.drain(0.1)
    assert await a.transport.drain(PATIENCE)
    weather.loss = 0.0
    a.transport.send(Lane.RELIABLE, b"next")
    await b.until(lambda: bool(b.received))
    assert b.received == [(Lane.RELIABLE, b"next")]


async def test_a_raising_callback_closes_nothing(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = End(lab.transport()), End(lab.transport())
    await introduce(a.transport, b.transport)
    await open_both(a.transport, b.transport)

    def raise_first(lane: Lane, data: bytes) -> None:
        b.on_receive(lane, data)
        raise RuntimeError("a bug in the game")

    def raise_at_the_end(reason: str) -> None:
        b.on_closed(reason)
        raise KeyError("another bug")

    a.start()
    b.transport.start(raise_first, raise_at_the_end)
    for _ in range(3):
        a.transport.send(Lane.RELIABLE, b"hello")
    await b.until(lambda: len(b.received) == 3)
    b.transport.send(Lane.RELIABLE, b"still there")
    await a.until(lambda: len(a.received) == 1)
    a.transport.close()
    await b.until(lambda: len(b.reasons) == 1)
    assert b.transport.callback_errors == 4
    logged = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2
    assert "on_receive" in logged[0]
    assert "on_closed" in logged[1]


async def test_closing_is_told_to_both_ends_once(lab: Lab) -> None:
    a, b = await lab.pair()
    a.transport.close()
    a.transport.close()
    assert a.reasons == []  # Not from inside close().
    await a.until(lambda: bool(a.reasons))
    await b.until(lambda: bool(b.reasons))
    await a.transport.wait_closed()
    await b.transport.wait_closed()
    a.transport.close()
    a.transport.send(Lane.RELIABLE, b"into the void")
    b.transport.send(Lane.RELIABLE, b"into the void")
    assert not await a.transport.drain(PATIENCE)
    await asyncio.sleep(0)
    assert a.reasons == ["closed"]
    assert b.reasons == ["the other end closed the connection"]
    assert a.transport.backlog() == 0
    assert a.received == b.received == []


async def test_drained_messages_survive_the_closing(lab: Lab) -> None:
    a, b = await lab.pair()
    for _ in range(20):
        a.transport.send(Lane.RELIABLE, bytes(10_000))
    assert a.transport.backlog() >= 190_000
    assert await a.transport.drain(PATIENCE)
    a.transport.close()
    await b.until(lambda: bool(b.reasons))
    assert len(b.received) == 20


async def test_a_peer_that_vanishes_leaves_nothing_behind(lab: Lab) -> None:
    weather = Weather()
    a, b = await lab.pair(weather)
    weather.loss = 1.0
    for number in range(30):
        a.transport.send(Lane.RELIABLE, number.to_bytes(2, "big") * 500)
        a.transport.send(Lane.UNRELIABLE, b"state")
    assert not await a.transport.drain(0.5)  # Long enough for timeouts to have fired.
    assert a.transport.backlog() >= 30_000
    begin = time.monotonic()
    a.transport.close()
    await a.transport.wait_closed()
    assert time.monotonic() - begin < 1
    assert a.reasons == ["closed"]
    assert b.received == []


async def test_late_packets_of_a_filter_do_no_harm(lab: Lab) -> None:
    weather = Weather()
    a, b = await lab.pair(weather)
    weather.hold = True
    a.transport.send(Lane.RELIABLE, b"held back")
    b.transport.send(Lane.RELIABLE, b"held back")
    async with asyncio.timeout(PATIENCE):
        await weather.both_held.wait()
    a.transport.close()
    await a.transport.wait_closed()
    for forward, data in weather.held:
        forward(data)
    assert a.received == []


async def test_a_filter_that_raises_loses_packets_and_nothing_else(lab: Lab) -> None:
    class Broken(Weather):
        broken = False

        def outgoing(self, data: bytes, forward: Forward) -> None:
            if self.broken:
                raise ZeroDivisionError
            super().outgoing(data, forward)

    weather = Broken()
    a, b = await lab.pair(weather)
    weather.broken = True
    a.transport.send(Lane.RELIABLE, b"delayed")
    await asyncio.sleep(0)
    weather.broken = False
    await b.until(lambda: len(b.received) == 1)
    assert a.transport.callback_errors >= 1


async def test_messages_before_start_are_kept_in_order(lab: Lab) -> None:
    a, b = lab.transport(), End(lab.transport())
    await introduce(a, b.transport)
    await open_both(a, b.transport)
    expected = [number.to_bytes(2, "big") for number in range(100)]
    for message in expected:
        a.send(Lane.RELIABLE, message)
    assert await a.drain(PATIENCE)
    b.start()
    assert b.on(Lane.RELIABLE) == expected
    with pytest.raises(UsageError, match="one listener"):
        b.start()


async def test_too_much_before_start_ends_the_link(lab: Lab) -> None:
    a, b = lab.transport(), End(lab.transport())
    await introduce(a, b.transport)
    await open_both(a, b.transport)
    for _ in range(MAX_EARLY_MESSAGES // 32 + 1):
        for _ in range(32):  # Few at once, or the socket's own buffer loses some.
            a.send(Lane.UNRELIABLE, b"!")
        assert await a.drain(PATIENCE)
    assert b.transport.stats.dropped == 32
    assert b.transport.stats.messages_received == MAX_EARLY_MESSAGES + 32
    a.send(Lane.RELIABLE, b"the one too many")
    async with asyncio.timeout(PATIENCE):
        await b.transport.wait_closed()
    b.start()
    await b.until(lambda: bool(b.reasons))
    assert "more than this end keeps" in b.reasons[0]
    assert len(b.received) == MAX_EARLY_MESSAGES


async def test_a_listener_may_close_while_it_is_told_what_was_kept(lab: Lab) -> None:
    a, b = lab.transport(), End(lab.transport())
    await introduce(a, b.transport)
    await open_both(a, b.transport)
    for _ in range(3):
        a.send(Lane.RELIABLE, b"kept")
    assert await a.drain(PATIENCE)

    def close_at_once(lane: Lane, data: bytes) -> None:
        b.on_receive(lane, data)
        b.transport.close()

    b.transport.start(close_at_once, b.on_closed)
    await b.transport.wait_closed()
    assert b.received == [(Lane.RELIABLE, b"kept")]
    assert b.reasons == ["closed"]


async def test_a_sender_that_never_looks_at_the_backlog_is_closed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc, "MAX_QUEUED", 100_000)
    a, b = await lab.pair()
    for _ in range(10):
        a.transport.send(Lane.RELIABLE, bytes(MAX_TRANSPORT_MESSAGE))
    await a.until(lambda: bool(a.reasons))
    assert a.reasons == ["send queue overflow"]
    await b.until(lambda: bool(b.reasons))
