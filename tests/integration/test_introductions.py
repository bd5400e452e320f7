"""Calls by rung between two members of a real signaling server's room."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from netcode import introductions as under_test
from netcode.errors import Unreachable, UsageError
from netcode.introductions import MAX_CALLS, MAX_CALLS_ANSWERED
from netcode.rungs import Rung
from netcode.transports.base import Lane, Transport
from netcode.transports.webrtc import WebRtcTransport
from signaling import (
    Answer,
    AnswerFrom,
    Error,
    IceServer,
    Offer,
    OfferFrom,
    Parcel,
    SignalingClient,
    SignalingLimits,
    SignalingServer,
)
from tests.integration.introductions_lab import Member, member, until
from tests.integration.signaling_lab import heard, running, url

TURN = IceServer(("turn:127.0.0.1:9", "turn:127.0.0.1:9?transport=tcp"), "u", "c")


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with running() as server:
        yield server


async def met(who: Member, count: int = 1) -> Transport:
    await until(lambda: len(who.met) >= count)
    return who.met[-1]


class Ear:
    def __init__(self, transport: Transport) -> None:
        self.heard: list[bytes] = []
        self.reasons: list[str] = []
        transport.start(lambda lane, data: self.heard.append(data), self.reasons.append)


@pytest.mark.parametrize("rung", [None, Rung.DIRECT, Rung.WEBSOCKET])
async def test_a_call_opens_a_transport_at_both_ends(
    server: SignalingServer, rung: Rung | None
) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        near = await bob.call(ada, rung)
        far = await met(ada)
        assert ada.asked == [bob.id]
        assert near.kind == far.kind == ("websocket" if rung is Rung.WEBSOCKET else "webrtc")
        ear = Ear(far)
        for lane in Lane:
            near.send(lane, lane.name.encode())
        assert await near.drain(5)
        assert sorted(ear.heard) == sorted(lane.name.encode() for lane in Lane)


async def test_several_calls_between_the_same_two_are_under_way_at_once(
    server: SignalingServer,
) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        rungs = [Rung.DIRECT, Rung.WEBSOCKET, None, Rung.WEBSOCKET]
        calls = [bob.call(ada, rung) for rung in rungs] + [ada.call(bob, rung) for rung in rungs]
        transports = await asyncio.gather(*calls)
        await until(lambda: len(ada.met) == len(bob.met) == 4)
        ears = [Ear(transport) for transport in [*ada.met, *bob.met]]
        for number, transport in enumerate(transports):
            transport.send(Lane.RELIABLE, b"%d" % number)
        await until(lambda: all(ear.heard for ear in ears))
        assert sorted(ear.heard[0] for ear in ears) == [b"%d" % number for number in range(8)]


async def test_who_may_be_reached_only_by_relays_declines_the_rest_at_once(
    server: SignalingServer,
) -> None:
    relays = {Rung.TURN_UDP, Rung.TURN_TCP}
    async with (
        await member(url(server), "Ada", rungs=relays) as ada,
        await member(url(server), "Bob") as bob,
    ):
        with pytest.raises(Unreachable, match=r"direct: the peer does not take calls on this rung"):
            await bob.call(ada, Rung.DIRECT)
        with pytest.raises(Unreachable, match=r"websocket: .*does not take calls on this rung"):
            await bob.call(ada, Rung.WEBSOCKET)
        assert ada.asked == []
        with pytest.raises(UsageError, match="turn_udp, turn_tcp"):
            await ada.call(bob, Rung.DIRECT)


async def test_a_rung_without_a_server_is_not_tried(server: SignalingServer) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        for rung in (Rung.TURN_UDP, Rung.TURN_TCP):
            with pytest.raises(Unreachable, match=f"{rung}: no server for that is known"):
                await bob.call(ada, rung)
        assert ada.asked == []


async def test_a_way_that_nobody_knows_is_declined(server: SignalingServer) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await SignalingClient.connect(url(server), room="den", name="Bob") as bob,
    ):
        await bob.send(Offer(ada.id, "v=0", "call 1", "a way of 2031"))
        assert await heard(bob) == AnswerFrom(ada.id, "", "call 1")
        # An end that names no calls would not understand a "no".
        await bob.send(Offer(ada.id, "v=0", via="a way of 2031"))
        await bob.send(Offer(ada.id, "nonsense", "call 2", "direct"))
        assert await heard(bob) == AnswerFrom(ada.id, "", "call 2")


async def test_nobody_takes_more_than_so_many_calls_of_one_peer(server: SignalingServer) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        first = [await bob.call(ada, Rung.WEBSOCKET) for _ in range(MAX_CALLS_ANSWERED)]
        with pytest.raises(Unreachable, match="no more calls"):
            await bob.call(ada, Rung.WEBSOCKET)
        with pytest.raises(Unreachable, match="too many at once"):
            await bob.call(ada, Rung.DIRECT)
        first[0].close()
        await until(lambda: ada.introductions._calls_of(bob.id) < MAX_CALLS_ANSWERED)
        await bob.call(ada, Rung.WEBSOCKET)

        calls = [asyncio.create_task(bob.call("nobody", Rung.DIRECT)) for _ in range(MAX_CALLS)]
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="at once"):
            await bob.call("nobody", Rung.DIRECT)
        for call in calls:
            with pytest.raises(Unreachable, match="not in the signaling room"):
                await call


@pytest.mark.parametrize("rung", [Rung.DIRECT, Rung.WEBSOCKET])
async def test_a_call_to_somebody_who_has_gone_fails_at_once(
    server: SignalingServer, rung: Rung
) -> None:
    async with await member(url(server), "Bob") as bob:
        with pytest.raises(Unreachable, match=f"{rung}: .*not in the signaling room any more"):
            await bob.call("gone", rung)


@pytest.mark.parametrize("rung", [Rung.DIRECT, Rung.WEBSOCKET])
async def test_nobody_answers(server: SignalingServer, rung: Rung) -> None:
    async with (
        await member(url(server), "Ada", on_call=None) as ada,
        await member(url(server), "Bob") as bob,
    ):
        with pytest.raises(Unreachable, match=rf"{rung}: no connection within 0\.3 s"):
            await bob.call(ada, rung, timeout=0.3)
        call = asyncio.create_task(bob.call(ada, rung))
        await until(lambda: bool(bob.introductions._calling or bob.introductions._relayed))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: not (bob.introductions._calling or bob.introductions._relayed))


async def test_a_peer_that_leaves_takes_along_what_goes_through_signaling(
    server: SignalingServer,
) -> None:
    async with await member(url(server), "Ada") as ada, await member(url(server), "Bob") as bob:
        direct, relayed = await bob.call(ada, Rung.DIRECT), await bob.call(ada, Rung.WEBSOCKET)
        await met(ada, 2)
        ears = {transport.kind: Ear(transport) for transport in ada.met}
        Ear(direct)
        relayed_ear = Ear(relayed)
        bob.client._socket.transport.abort()
        await until(lambda: bool(ears["websocket"].reasons and relayed_ear.reasons))
        assert ears["websocket"].reasons == ["the peer has left the signaling room (lost)"]
        assert relayed_ear.reasons == ["the signaling connection ended"]
        # What does not pass signaling goes on.
        direct.send(Lane.RELIABLE, b"still here")
        await until(lambda: ears["webrtc"].heard == [b"still here"])


async def test_when_the_signaling_server_is_killed_both_ends_hear_why() -> None:
    async with (
        running() as server,
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        ears = [Ear(await bob.call(ada, Rung.WEBSOCKET)), Ear(await met(ada))]
        for connection in list(server._connections):
            connection.socket.transport.abort()
        await until(lambda: all(ear.reasons for ear in ears))
        for ear in ears:
            assert ear.reasons[0].startswith(
                ("the signaling connection ended", "the peer has left the signaling room")
            )


async def test_a_server_that_relays_nothing_says_so() -> None:
    async with (
        running(limits=SignalingLimits(parcel_byte_rate=0)) as server,
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        with pytest.raises(Unreachable, match=r"websocket: this server relays nothing"):
            await bob.call(ada, Rung.WEBSOCKET)
        assert (await bob.call(ada, Rung.DIRECT)).kind == "webrtc"


async def test_nonsense_in_parcels_is_dropped(server: SignalingServer) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await SignalingClient.connect(url(server), room="den", name="Eve") as eve,
    ):
        for data in (
            b"\x00",
            b"\x05abc",
            b"\x02\xff\xff\x01\x01",
            b"\x01c",
            b"\x01c\x63",
            b"\x01c\x02",
        ):
            await eve.send_to(ada.id, data)
        await eve.send_to(ada.id, b"\x01c\x01\x01")
        assert await heard(eve) == Parcel(ada.id, b"\x01c\x02")
        assert ada.asked == [eve.id]
        await eve.send_to(ada.id, b"\x01cnonsense")
        assert await heard(eve) == Parcel(ada.id, b"\x01c\x04you sent garbage")


async def test_relay_calls_use_relays_only_and_are_answered_with_everything_of_that_kind(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which servers, and whether addresses of this machine, on which rung."""
    made: list[tuple[tuple[str, ...], bool]] = []

    class Recorded(under_test.WebRtcTransport):
        def __init__(self, *, relay_only: bool = False, **options: object) -> None:
            urls = tuple(url for each in options.pop("ice_servers") for url in each.urls)  # type: ignore[attr-defined]
            made.append((urls, relay_only))
            super().__init__(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(under_test, "WebRtcTransport", Recorded)
    udp, tcp = TURN.urls
    every = {
        Rung.DIRECT: [(("stun:127.0.0.1:9",), False)] * 2,
        Rung.TURN_UDP: [((udp,), True), ((udp, "stun:127.0.0.1:9"), False)],
        Rung.TURN_TCP: [((tcp,), True), ((tcp,), False)],
        None: [(TURN.urls, False)] * 2,
    }
    async with (
        await member(url(server), "Ada", ice_servers=lambda: [TURN]) as ada,
        await member(url(server), "Bob", ice_servers=lambda: [TURN]) as bob,
        await member(
            url(server), "Eve", ice_servers=lambda: [TURN], rungs={Rung.TURN_UDP, Rung.WEBSOCKET}
        ) as eve,
    ):
        for rung, expected in every.items():
            made.clear()
            await bob.call(ada, rung)
            assert made == expected
        made.clear()
        await bob.call(eve, Rung.TURN_UDP)
        await bob.call(eve, None)
        assert made == [((udp,), True), ((udp,), True), (TURN.urls, False), (TURN.urls, True)]


async def test_closing_gives_up_what_is_under_way_and_leaves_what_is_open(
    server: SignalingServer,
) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await member(url(server), "Deaf", on_call=None) as deaf,
        await member(url(server), "Bob") as bob,
    ):
        ear = Ear(await bob.call(ada, Rung.WEBSOCKET))
        calls = [
            asyncio.create_task(bob.call(deaf, rung)) for rung in (Rung.DIRECT, Rung.WEBSOCKET)
        ]
        await until(lambda: len(bob.introductions._calling) == len(bob.introductions._opening) == 1)
        await bob.introductions.close()
        for call in calls:
            with pytest.raises(Unreachable, match="closed"):
                await call
        with pytest.raises(Unreachable, match="no more calls are made"):
            await bob.call(ada, Rung.DIRECT)
        with pytest.raises(Unreachable, match="within"):
            await ada.call(bob, Rung.WEBSOCKET, timeout=0.3)
        (await met(ada)).send(Lane.RELIABLE, b"still here")
        await until(lambda: ear.heard == [b"still here"])


async def test_when_relaying_ends_both_ends_hear_why(server: SignalingServer) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
        await member(url(server), "Eve") as eve,
    ):
        ears = [Ear(await bob.call(ada, Rung.WEBSOCKET)), Ear(await met(ada))]
        other = Ear(await eve.call(ada, Rung.WEBSOCKET))
        # As `tests/integration/test_signaling_relaying.py` has it from a real server.
        ada.introductions.take(Error("relaying_ended", "you read too slowly", bob.id))
        bob.introductions.take(Error("relaying_ended", "this peer reads too slowly", ada.id))
        await until(lambda: all(ear.reasons for ear in ears))
        assert [ear.reasons for ear in ears] == [
            ["this peer reads too slowly (relaying_ended)"],
            ["you read too slowly (relaying_ended)"],
        ]
        assert other.reasons == []
        await bob.call(ada, Rung.WEBSOCKET)


async def test_ends_that_do_not_name_their_calls_are_reached_and_answered(
    server: SignalingServer,
) -> None:
    async with (
        await member(url(server), "Ada") as ada,
        await SignalingClient.connect(url(server), room="den", name="Old") as old,
    ):
        answering, calling = WebRtcTransport(), WebRtcTransport()
        try:
            call = asyncio.create_task(ada.call(old.id, Rung.DIRECT))
            offer = await heard(old)
            assert isinstance(offer, OfferFrom)
            await old.send(Answer(ada.id, await answering.answer(offer.sdp)))
            await answering.wait_open(5)
            await call

            await old.send(Offer(ada.id, await calling.offer()))
            answer = await heard(old)
            assert isinstance(answer, AnswerFrom)
            await calling.accept(answer.sdp)
            await calling.wait_open(5)
            await met(ada)
        finally:
            for transport in (answering, calling):
                transport.close()
                await transport.wait_closed()
