"""Parcels through a real signaling server: who gets them, and what they cannot do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect

from signaling import (
    Error,
    Incoming,
    Offer,
    OfferFrom,
    Parcel,
    PeerJoined,
    PeerLeft,
    SignalingClient,
    SignalingLimits,
    SignalingServer,
    UsageError,
)
from signaling.parcels import MAX_PARCEL_BYTES, encode_parcel
from tests.integration.signaling_lab import (
    answer,
    closed,
    eventually,
    heard,
    join,
    raw,
    raw_join,
    running,
    url,
)

UNKNOWN = "unknown_peer"


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with running() as server:
        yield server


async def heard_error(client: SignalingClient) -> Error:
    while not isinstance(message := await heard(client), Error):
        assert isinstance(message, PeerJoined | Parcel), message
    return message


async def test_parcels_arrive_in_order_with_the_senders_id(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, await join(server, "Bob") as bob:
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        data = [bytes([number]) * size for number, size in enumerate((1, 1_000, MAX_PARCEL_BYTES))]
        for one in data:
            await bob.send_to(ada.id, one)
        assert [await heard(ada) for _ in data] == [Parcel(bob.id, one) for one in data]
        await ada.send_to(bob.id, b"back")
        assert await heard(bob) == Parcel(ada.id, b"back")


async def test_the_embedding_program_sends_and_hears_parcels(server: SignalingServer) -> None:
    inbox: list[Incoming] = []
    host = server.attach("den", "host", inbox.append)
    async with await join(server, "Ada") as ada:
        await ada.send_to(host.id, b"to the host")
        await eventually(lambda: Parcel(ada.id, b"to the host") in inbox)
        host.send_to(ada.id, b"to the guest")
        assert await heard(ada) == Parcel(host.id, b"to the guest")
    await eventually(lambda: PeerLeft(ada.id, "left") in inbox)
    host.send_to(ada.id, b"too late")
    assert isinstance(inbox[-1], Error)
    assert (inbox[-1].code, inbox[-1].peer) == (UNKNOWN, ada.id)
    host.leave()
    with pytest.raises(UsageError, match="left its room"):
        host.send_to(ada.id, b"x")


async def test_nobody_reaches_a_peer_of_another_room(server: SignalingServer) -> None:
    async with (
        await join(server, "Ada", "den") as ada,
        await join(server, "Bob", "den") as bob,
        await join(server, "Eve", "attic") as eve,
    ):
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        for to in (ada.id, "nobody", eve.id):
            await eve.send_to(to, b"psst")
            error = await heard_error(eve)
            assert (error.code, error.peer) == (UNKNOWN, to)
        await bob.send_to(ada.id, b"hello")
        assert await heard(ada) == Parcel(bob.id, b"hello")


async def test_malformed_parcels_count_as_bad_messages(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, raw(server) as websocket:
        await raw_join(websocket, "Eve")
        for _ in range(5):
            await websocket.send(b"\x00nonsense")
        assert (await answer(websocket))["code"] == "bad_parcel"
        assert await closed(websocket) == (1008, "too many malformed messages")
        assert isinstance(await heard(ada), PeerJoined)
        assert (await heard(ada)).reason == "broke the rules"  # type: ignore[union-attr]


async def test_a_parcel_before_joining_is_refused(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, raw(server) as websocket:
        await websocket.send(encode_parcel(ada.id, b"let me in"))
        assert (await answer(websocket))["code"] == "not_joined"
        await raw_join(websocket, "Eve")


async def test_an_empty_or_too_long_parcel_is_misuse(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada:
        for data in (b"", bytes(MAX_PARCEL_BYTES + 1)):
            with pytest.raises(UsageError):
                await ada.send_to("x", data)


async def test_an_operator_can_switch_relaying_off() -> None:
    async with (
        running(limits=SignalingLimits(parcel_byte_rate=0)) as server,
        await join(server, "Ada") as ada,
        await join(server, "Bob") as bob,
    ):
        for _ in range(10):  # a refusal, no offence
            await bob.send_to(ada.id, b"x")
            error = await heard_error(bob)
            assert (error.code, error.peer) == ("relaying_off", ada.id)
        await bob.send(Offer(ada.id, "v=0"))
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        assert await heard(ada) == OfferFrom(bob.id, "v=0")


@pytest.mark.parametrize(
    "limits",
    [
        SignalingLimits(parcel_byte_burst=100_000, parcel_byte_rate=200_000),
        SignalingLimits(parcel_burst=10, parcel_rate=20),
        SignalingLimits(parcel_total_burst=100_000, parcel_total_rate=200_000),
    ],
    ids=["bytes", "parcels", "all together"],
)
async def test_what_comes_too_fast_is_slowed_down_and_not_lost(limits: SignalingLimits) -> None:
    # Twenty of 10 kB: half of it is a burst, the other half takes half a second.
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        await join(server, "Bob") as bob,
    ):
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number in range(20):
            await bob.send_to(ada.id, bytes([number]) * 10_000)
        for number in range(20):
            assert await heard(ada) == Parcel(bob.id, bytes([number]) * 10_000)
        assert loop.time() - begin > 0.4


async def test_a_reader_that_is_too_slow_costs_its_sender_the_way_and_stays() -> None:
    # The system's own buffers swallow some megabytes before anything waits in the server's queue.
    limits = SignalingLimits(
        parcel_byte_burst=1_000_000_000,
        parcel_burst=1_000_000,
        parcel_total_burst=1_000_000_000,
        parcel_queue_bytes=200_000,
        parcel_queue_bytes_per_sender=100_000,
    )
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        connect(url(server), compression=None, proxy=None, max_queue=1) as websocket,
    ):
        slow = await raw_join(websocket, "Slow")
        assert await heard(ada) == PeerJoined(slow, "Slow")
        ended = asyncio.create_task(heard(ada))
        sent = 0
        async with asyncio.timeout(20):
            while not ended.done():
                await ada.send_to(slow, sent.to_bytes(4, "big") * 4_000)
                sent += 1
        error = await ended
        assert isinstance(error, Error)
        assert (error.code, error.peer) == ("relaying_ended", slow)

        # Messages to the slow one are not concerned, and go before the parcels that wait.
        await ada.send(Offer(slow, "still there?"))
        await ada.send_to(slow, b"anew")
        arrived: list[bytes] = []
        texts = []
        async with asyncio.timeout(20):
            while not arrived or arrived[-1] != b"anew":
                frame = await websocket.recv()
                if isinstance(frame, str):
                    texts.append(frame)
                else:
                    arrived.append(frame[1 + len(ada.id) :])
        assert [("relaying_ended" in text, "still there?" in text) for text in texts] == [
            (True, False),
            (False, True),
        ]
        # Without a gap up to where it ended, and then what was sent after the error was read.
        numbers = [int.from_bytes(data[:4], "big") for data in arrived[:-1]]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) < sent
        # The other way was open all the time.
        await websocket.send(encode_parcel(ada.id, b"sorry"))
        assert await heard(ada) == Parcel(slow, b"sorry")


async def test_messages_do_not_wait_behind_a_flood_of_parcels() -> None:
    limits = SignalingLimits(parcel_byte_burst=20_000, parcel_byte_rate=200_000)
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        await join(server, "Bob") as bob,
        await join(server, "Flood") as flood,
    ):

        async def pour() -> None:
            while True:
                await flood.send_to(ada.id, bytes(4_000))

        pouring = asyncio.create_task(pour())
        try:
            async with asyncio.timeout(5):
                while not isinstance(await heard(ada), Parcel):
                    pass
            for number in range(50):
                await bob.send(Offer(ada.id, str(number)))
            offers = 0
            async with asyncio.timeout(2):
                while offers < 50:
                    offers += isinstance(await heard(ada), OfferFrom)
        finally:
            pouring.cancel()
            await asyncio.wait([pouring])
