"""Members are told the relay on this machine by the name under which they have reached it."""

from typing import Any

import pytest
from websockets.asyncio.client import connect

from signaling import IceServer, UsageError
from signaling.server import SignalingServer
from tests.integration.signaling_lab import answer, running

RELAY = IceServer(("turn:{host}:3478?transport=udp", "turn:turn.example.org"), "ada", "secret")


async def told(server: SignalingServer, url: str, **headers: str) -> list[Any]:
    """The urls that somebody is told on joining, and again when asking anew."""
    async with connect(
        url,
        host="127.0.0.1",
        port=server.port,
        proxy=None,
        compression=None,
        additional_headers=headers,
    ) as websocket:
        await websocket.send('{"type": "join", "room": "den", "name": "Ada", "role": "peer"}')
        joined = await answer(websocket)
        await websocket.send('{"type": "renew_ice_servers"}')
        renewed = await answer(websocket)
        assert joined["ice_servers"] == renewed["ice_servers"]
        return [server["urls"] for server in joined["ice_servers"]]


@pytest.mark.parametrize("ice_servers", [[RELAY], lambda subject: [RELAY]])
async def test_each_member_is_told_the_host_that_it_has_named(ice_servers: Any) -> None:
    async with running(ice_servers=ice_servers) as server:
        for url, host in (
            ("ws://game.example.org:8080", "game.example.org"),
            ("ws://[2001:db8::1]", "[2001:db8::1]"),
        ):
            fixed = "turn:turn.example.org"
            assert await told(server, url) == [[f"turn:{host}:3478?transport=udp", fixed]]


async def test_a_header_that_names_no_host_is_not_believed() -> None:
    async with running(ice_servers=[RELAY]) as server:
        assert await told(server, "ws://game.example.org", Host="evil.example") == [
            ["turn:turn.example.org"]
        ]
        assert await told(server, "ws://-x-") == [["turn:turn.example.org"]]


async def test_the_program_itself_needs_no_such_relay() -> None:
    async with running(ice_servers=[RELAY]) as server:
        member = server.attach("game", "server", lambda message: None)
        for servers in (member.ice_servers, member.renew_ice_servers()):
            assert servers == (IceServer(("turn:turn.example.org",), "ada", "secret"),)


def test_urls_must_fit_with_the_longest_host() -> None:
    fits = "turn:{host}?" + "x" * 700
    SignalingServer(ice_servers=[IceServer((fits,))])
    with pytest.raises(UsageError, match="ice_servers"):
        SignalingServer(ice_servers=[IceServer((fits + "{host}" * 2,))])
