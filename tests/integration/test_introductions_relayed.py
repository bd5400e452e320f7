"""Calls on the rungs of a relay: who uses it, and what is told of whom."""

import pytest

from netcode.errors import Unreachable
from netcode.rungs import Rung
from netcode.transports.base import Lane
from netcode.transports.webrtc import WebRtcTransport
from signaling import IceServer
from signaling.turn import TurnServer
from tests.integration.introductions_lab import member, until
from tests.integration.signaling_lab import running, url
from tests.integration.turn_lab import HOST, ice_server, relay

RELAYS = {Rung.TURN_UDP, Rung.TURN_TCP}


def told(turn: TurnServer) -> list[IceServer]:
    by = ice_server(f"turn:{HOST}:{turn.port}?transport=udp")
    return [
        IceServer((*by.urls, f"turn:{HOST}:{turn.port}?transport=tcp"), by.username, by.credential)
    ]


@pytest.mark.parametrize("rung", sorted(RELAYS))
@pytest.mark.parametrize("hides", [True, False])
async def test_a_call_by_a_relay_shows_nothing_of_the_caller(rung: Rung, hides: bool) -> None:
    rungs = RELAYS if hides else set(Rung)
    async with (
        relay(allow=[HOST] if hides else ["0.0.0.0/0", "::/0"]) as turn,
        running() as server,
        await member(url(server), "Ada", ice_servers=lambda: told(turn), rungs=rungs) as ada,
        await member(url(server), "Bob", ice_servers=lambda: told(turn)) as bob,
    ):
        near = await bob.call(ada, rung)
        await until(lambda: bool(ada.met))
        far = ada.met[0]
        assert isinstance(near, WebRtcTransport)
        assert isinstance(far, WebRtcTransport)
        assert (near.rung, near.local_addresses()) == (rung, [])
        # Who does not hide is reached at its own address, by one relay instead of two.
        assert (far.local_addresses() == []) is hides
        assert far.rung == (rung if hides else Rung.TURN_UDP)
        heard: list[bytes] = []
        far.start(lambda lane, data: heard.append(data), lambda reason: None)
        near.send(Lane.RELIABLE, b"hello")
        await until(lambda: heard == [b"hello"])


async def test_each_way_to_a_relay_that_fails_is_named() -> None:
    dead = IceServer((f"turn:{HOST}:9?transport=tcp", f"turns:{HOST}:9"), "ada", "secret")
    async with (
        running() as server,
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob", ice_servers=lambda: [dead]) as bob,
    ):
        with pytest.raises(
            Unreachable,
            match=r"turn_tcp by turn:127.*nobody listens.*; turn_tcp by turns:127.*nobody listens",
        ):
            await bob.call(ada, Rung.TURN_TCP)
