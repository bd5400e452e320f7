"""How two WebRTC transports find each other, and what happens when they do not."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from netcode.errors import Unreachable, UsageError, WireError
from netcode.transports import aiortc_private, gathering
from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane
from netcode.transports.webrtc import IceServer, WebRtcTransport
from tests.integration.webrtc_lab import PATIENCE, Lab, Weather, introduce, open_both


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as lab:
        yield lab


async def test_trickled_candidates_open_the_link(lab: Lab) -> None:
    a, b = lab.transport(), lab.transport()
    offer = await a.offer()
    candidates = [line[2:] for line in offer.splitlines() if line.startswith("a=candidate:")]
    bare = "\r\n".join(
        line
        for line in offer.splitlines()
        if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    )
    await b.add_candidate(candidates[0], "0", 0)  # Overtakes the offer.
    answer = await b.answer(bare, trickle=True)
    for candidate in candidates[1:]:
        await b.add_candidate(candidate, "0", None)
    await b.add_candidate("", None, None)
    await b.add_candidate(candidates[0], "0", 0)  # After the end: of no use, and no harm.
    await a.accept(answer)
    await open_both(a, b)


async def test_without_candidates_from_either_side_the_other_one_finds_it(lab: Lab) -> None:
    """The end of trickled candidates may be all that comes; the peer's checks are enough."""
    a, b = lab.transport(), lab.transport()
    offer = await a.offer()
    bare = "\r\n".join(
        line
        for line in offer.splitlines()
        if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    )
    await a.accept(await b.answer(bare, trickle=True))
    await open_both(a, b)


async def test_nobody_answers_the_offer(lab: Lab) -> None:
    a = lab.transport()
    await a.offer()
    begin = time.monotonic()
    with pytest.raises(Unreachable, match=r"within 0\.2 s: tried \d+ host here .*ICE new"):
        await a.wait_open(0.2)
    assert time.monotonic() - begin < 0.5


async def test_nobody_is_where_the_answer_says(lab: Lab) -> None:
    a, b = lab.transport(), lab.transport()
    answer = await b.answer(await a.offer())
    b.close()
    await b.wait_closed()
    await a.accept(answer)
    with pytest.raises(Unreachable, match=r"ICE checking, DTLS new, SCTP new"):
        await a.wait_open(0.3)


async def test_the_wrong_certificate_is_not_accepted(lab: Lab) -> None:
    a, b = lab.transport(), lab.transport()
    answer = await b.answer(await a.offer())
    lines = answer.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("a=fingerprint:"):
            lines[number] = line[:-2] + ("00" if line[-2:] != "00" else "11")
    await a.accept("\r\n".join(lines))
    with pytest.raises(Unreachable, match="encryption handshake"):
        await a.wait_open(PATIENCE)


async def test_closing_ends_the_wait_for_an_open_link(lab: Lab) -> None:
    a = lab.transport()
    waiting = asyncio.create_task(a.wait_open(60))
    await a.offer()
    a.close()
    with pytest.raises(Unreachable, match="closed"):
        await waiting
    with pytest.raises(Unreachable, match="closed"):
        await a.answer(await lab.transport().offer())


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 9, 15, 30, 45, 60, 100, 150, 250, 400])
async def test_cancelling_anywhere_leaves_a_transport_that_closes(lab: Lab, steps: int) -> None:
    a, b = lab.transport(), lab.transport()

    async def connect() -> None:
        await introduce(a, b)
        await open_both(a, b)

    task = asyncio.create_task(connect())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):  # A fast machine has connected within many steps.
        await task
    # The fixture closes both and looks for what is left.


async def test_silent_ice_servers_delay_the_offer_only_so_long(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "TIMEOUT", 0.4)
    monkeypatch.setattr(gathering, "STUN_TIMEOUT", 0.4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        servers = [
            IceServer(f"stun:127.0.0.1:{port}"),
            IceServer([f"turn:127.0.0.1:{port}"], username="u", credential="c"),
        ]
        a = lab.transport(ice_servers=servers)
        closed_early = lab.transport(ice_servers=servers)
        begin = time.monotonic()
        offer = asyncio.create_task(closed_early.offer())
        await asyncio.sleep(0)
        closed_early.close()
        await closed_early.wait_closed()  # and does not wait for them
        await offer
        assert time.monotonic() - begin < 0.4
        assert "typ host" in await a.offer()
        assert 0.4 <= time.monotonic() - begin < 2


async def test_garbage_instead_of_sdp(lab: Lab) -> None:
    a, b = lab.transport(), lab.transport()
    offer = await a.offer()
    for garbage in ("", "hello", "v=0\r\nm=application", offer * 20, offer[:200], "m=\x00"):
        with pytest.raises(WireError):
            await b.answer(garbage)
        with pytest.raises(WireError):
            await a.accept(garbage)
    for candidate in ("hello", "candidate:1 x udp", "a" * 5_000):
        with pytest.raises(WireError):
            await a.add_candidate(candidate, "0", 0)
    # None of it did any harm.
    await a.accept(await b.answer(offer))
    await open_both(a, b)


async def test_misuse_is_refused(lab: Lab) -> None:
    a, b = lab.transport(), lab.transport()
    with pytest.raises(UsageError, match="wait_open"):
        a.send(Lane.RELIABLE, b"too early")
    await introduce(a, b)
    with pytest.raises(UsageError, match="once"):
        await a.offer()
    await open_both(a, b)
    with pytest.raises(ValueError, match=str(MAX_TRANSPORT_MESSAGE)):
        a.send(Lane.UNRELIABLE, bytes(MAX_TRANSPORT_MESSAGE + 1))
    with pytest.raises(UsageError, match="bytes"):
        a.send(Lane.RELIABLE, "text")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="URL"):
        WebRtcTransport(ice_servers=[IceServer("http://example.org")])


async def test_unknown_releases_work_by_the_public_interface_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aiortc_private, "unknown_releases", lambda: ["aiortc 9.9.0"])
    a, b = await lab.pair()
    a.transport.send(Lane.RELIABLE, b"as ever")
    await b.until(lambda: len(b.received) == 1)
    assert a.transport.rtt() is None
    assert a.transport.path() == ""
    assert await a.transport.drain(PATIENCE)
    warnings = [record for record in caplog.records if "aiortc 9.9.0" in record.message]
    assert len(warnings) == 1
    with pytest.raises(UsageError, match=r"aiortc 9\.9\.0"):
        WebRtcTransport(filters=Weather())
    a.transport.close()
    await b.until(lambda: bool(b.reasons))
