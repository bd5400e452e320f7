"""A server with a join secret: who gets in, what they are called, and what is told to whom."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling import (
    Claims,
    ConnectionLost,
    Error,
    IceServer,
    IceServersRenewed,
    JoinSecret,
    PeerJoined,
    PeerLeft,
    Refused,
    SignalingLimits,
    SignalingServer,
)
from signaling.gate import Visitor
from tests.integration.signaling_lab import (
    answer,
    closed,
    eventually,
    heard,
    join,
    raw,
    raw_join,
    running,
)

JOIN = '{"type": "join", "room": "den", "name": "Eve", "role": "peer"}'
SECRET = "a secret that the back end knows"


def token(name: str = "Ada", room: str = "den", **more: Any) -> str:
    now = more.pop("now", time.time())
    return JoinSecret(SECRET).issue(name=name, room=room, lifetime=3_600, now=now, **more)


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with running(join_secret=SECRET) as server:
        yield server


BAD: dict[str, tuple[str | None, str]] = {
    "none": (None, "token_missing"),
    "empty": ("", "token_invalid"),
    "forged": (
        JoinSecret("another secret, of nobody").issue(
            name="Ada", room="den", lifetime=3_600, now=time.time()
        ),
        "token_invalid",
    ),
    "altered": (token()[:-1] + "!", "token_invalid"),
    "cut": (token()[:-4], "token_invalid"),
    "expired": (token(now=time.time() - 8_000), "token_expired"),
    "of another room": (token(room="attic"), "token_wrong_room"),
}


@pytest.mark.parametrize(("bad", "code"), BAD.values(), ids=BAD)
async def test_who_has_no_good_token_is_told_why_and_seen_by_nobody(
    server: SignalingServer, bad: str | None, code: str
) -> None:
    async with await join(server, "Ada", token=token()) as ada:
        with pytest.raises(Refused, match="token") as caught:
            await join(server, "Eve", token=bad)
        assert caught.value.code == code
        async with raw(server) as websocket:
            await websocket.send(JOIN if bad is None else JOIN[:-1] + f', "token": "{bad}"}}')
            assert (await answer(websocket))["code"] == code
            assert await closed(websocket) == (1008, code)
        async with await join(server, "Bob", token=token("Bob")) as bob:
            assert await heard(ada) == PeerJoined(bob.id, "Bob")


async def test_a_token_that_is_too_long_for_one_makes_no_sense(server: SignalingServer) -> None:
    async with raw(server) as websocket:
        await websocket.send(JOIN[:-1] + f', "token": "{"x" * 1025}"}}')
        assert (await answer(websocket))["code"] == "bad_field"


async def test_the_name_in_the_token_counts(server: SignalingServer) -> None:
    async with (
        await join(server, "Ada", token=token()) as ada,
        await join(server, "Ada", token=token("Bob", subject="account 7")) as bob,
    ):
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        claims = server.claims_of(bob.id)
        assert claims is not None
        assert (claims.name, claims.subject) == ("Bob", "account 7")
    await eventually(lambda: server.claims_of(bob.id) is None)


async def test_a_token_that_is_used_again_displaces_who_came_with_it(
    server: SignalingServer,
) -> None:
    async with await join(server, "Ada", token=token()) as ada:
        again = token("Bob")
        first = await join(server, "Bob", token=again)
        assert await heard(ada) == PeerJoined(first.id, "Bob")
        async with await join(server, "Bob", token=again) as second:
            assert await heard(ada) == PeerLeft(first.id, "displaced")
            assert await heard(ada) == PeerJoined(second.id, "Bob")
            with pytest.raises(ConnectionLost, match="its token was used again"):
                await heard(first)
            assert first._socket.close_code == 1008
            await first.close()
            # The stale socket's end must not take the newcomer's seat along.
            assert set(server._members) == {ada.id, second.id}
    await eventually(lambda: not server._members)
    assert server._seats == {}


async def test_a_full_room_still_lets_a_player_back_in() -> None:
    limits = SignalingLimits(max_peers_per_room=1)
    async with running(join_secret=SECRET, limits=limits) as server:
        again = token()
        stale = await join(server, "Ada", token=again)
        async with await join(server, "Ada", token=again) as ada:
            assert ada.peers == {}
        await stale.close()


async def test_open_rooms_take_a_token_for_nothing_and_everybody_as_before() -> None:
    async with running() as server, await join(server, "Ada", token="anything") as ada:
        assert server.claims_of(ada.id) is None
        async with raw(server) as older:  # a client that has never heard of tokens
            await raw_join(older, "Bob")


async def test_the_program_itself_needs_no_token(server: SignalingServer) -> None:
    game = server.attach("den", "the game", lambda message: None)
    async with await join(server, "Ada", token=token()) as ada:
        assert ada.host == game.id
    assert server.claims_of(game.id) is None


async def test_bad_tokens_from_one_address_are_answered_ever_later() -> None:
    limits = SignalingLimits(bad_token_burst=1, bad_token_rate=5)
    loop = asyncio.get_running_loop()
    async with running(join_secret=SECRET, limits=limits, trust_proxies=["127.0.0.1"]) as server:

        async def refused_after(address: str) -> float:
            async with raw(server, address) as websocket:
                started = loop.time()
                await websocket.send(JOIN)
                assert (await answer(websocket))["code"] == "token_missing"
                return loop.time() - started

        await refused_after("203.0.113.9")
        assert await refused_after("203.0.113.9") >= 0.15
        # A good token from the same address does not wait, nor does a bad one from elsewhere.
        async with raw(server, "203.0.113.9") as neighbour:
            await raw_join(neighbour, "Ada", token=token())
        assert await refused_after("203.0.113.10") < 0.15


async def test_an_answer_that_waits_does_not_hold_up_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = SignalingLimits(bad_token_burst=1, bad_token_rate=0.01)
    async with running(join_secret=SECRET, limits=limits, trust_proxies=["127.0.0.1"]) as server:
        waits: list[float] = []
        penalty = server._gate.penalty

        def noted(connection: Visitor) -> float:
            waits.append(penalty(connection))
            return waits[-1]

        monkeypatch.setattr(server._gate, "penalty", noted)
        async with raw(server, "203.0.113.9") as first:
            await first.send(JOIN)
            await closed(first)
        async with raw(server, "203.0.113.9") as second:
            await second.send(JOIN)
            await eventually(lambda: len(waits) == 2)
            async with asyncio.timeout(2.5):
                await server.stop()
        assert waits == [0.0, 5.0]


# --- STUN and TURN servers -----------------------------------------------------------------------


class Turn:
    """Makes credentials, and knows for whom."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.works = True

    def __call__(self, subject: str) -> list[IceServer]:
        self.asked.append(subject)
        if not self.works:
            raise RuntimeError("the secret is gone")
        return [IceServer(("turn:turn.example",), f"{len(self.asked)}:{subject}", "password")]


async def test_credentials_are_made_for_those_who_have_joined_and_nobody_else() -> None:
    turn = Turn()
    limits = SignalingLimits(max_peers_per_room=2)
    async with (
        running(join_secret=SECRET, ice_servers=turn, limits=limits) as server,
        await join(server, "Ada", token=token(subject="account 7")) as ada,
        await join(server, "Bob", token=token("Bob")) as bob,
    ):
        assert turn.asked == ["account 7", bob.id]
        assert ada.ice_servers[0].username == "1:account 7"
        for bad, _ in BAD.values():
            with pytest.raises(Refused):
                await join(server, "Eve", token=bad)
        with pytest.raises(Refused, match="full"):
            await join(server, "Cyd", token=token("Cyd"))
        async with raw(server) as websocket:
            await websocket.send('{"type": "renew_ice_servers"}')
            assert (await answer(websocket))["code"] == "not_joined"
        assert len(turn.asked) == 2


async def test_members_get_new_credentials_when_they_ask() -> None:
    turn = Turn()
    async with running(ice_servers=turn) as server, await join(server, "Ada") as ada:
        first = ada.ice_servers
        await ada.renew_ice_servers()
        assert await heard(ada) == IceServersRenewed(ada.ice_servers)
        assert ada.ice_servers != first
        assert turn.asked == [ada.id, ada.id]
        game = server.attach("attic", "the game", lambda message: None)
        before = game.ice_servers
        assert game.renew_ice_servers() == game.ice_servers != before


async def test_a_failure_to_make_them_leaves_the_member_in_its_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turn = Turn()
    async with running(ice_servers=turn) as server, await join(server, "Ada") as ada:
        before = ada.ice_servers
        turn.works = False
        await ada.renew_ice_servers()
        message = await heard(ada)
        assert isinstance(message, Error)
        assert message.code == "no_ice_servers"
        assert "secret" not in message.message
        assert ada.ice_servers == before
        turn.works = True
        async with await join(server, "Bob") as bob:
            assert await heard(ada) == PeerJoined(bob.id, "Bob")
    assert "ice_servers function failed" in caplog.text


async def test_asking_after_the_connection_has_ended_says_so() -> None:
    async with running() as server:
        ada = await join(server, "Ada")
        await ada.close()
        with pytest.raises(ConnectionLost, match="was closed"):
            await ada.renew_ice_servers()


def ticket(name: str = "Ada", room: str = "den", id: str = "seat 1") -> Claims:
    return Claims(name, room, expires=0.0, id=id, subject="account 7")


async def test_whom_the_program_knows_comes_back_with_its_ticket() -> None:
    asked: list[str] = []
    of_bob = token("Bob")

    def tickets(text: str) -> Claims | None:
        asked.append(text)
        return ticket() if text == "ticket of Ada" else None

    async with running(join_secret=SECRET, tickets=tickets) as server:
        first = await join(server, "whatever", token="ticket of Ada")
        async with await join(server, "Bob", token=of_bob) as bob:
            # Otherwise it is as with a token: a name, claims, and one seat.
            assert bob.peers == {first.id: "Ada"}
            assert server.claims_of(first.id) == ticket()
            async with await join(server, "Ada", token="ticket of Ada") as again:
                assert await heard(bob) == PeerLeft(first.id, "displaced")
                assert await heard(bob) == PeerJoined(again.id, "Ada")
            with pytest.raises(Refused, match="token"):
                await join(server, "Eve", token="ticket of Eve")
            with pytest.raises(Refused) as caught:
                await join(server, "Eve")
            assert caught.value.code == "token_missing"
        await first.close()
    assert asked == ["ticket of Ada", of_bob, "ticket of Ada", "ticket of Eve"]


async def test_a_ticket_opens_its_own_room_only() -> None:
    async with running(join_secret=SECRET, tickets=lambda text: ticket(room="attic")) as server:
        with pytest.raises(Refused) as caught:
            await join(server, "Ada", token="t")
        assert caught.value.code == "token_wrong_room"
        async with await join(server, "Ada", "attic", token="t"):
            pass


async def test_tickets_that_fail_leave_tokens_as_they_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def tickets(text: str) -> Claims | None:
        raise KeyError(text)

    async with running(join_secret=SECRET, tickets=tickets) as server:
        async with await join(server, "Ada", token=token()):
            pass
        with pytest.raises(Refused, match="token"):
            await join(server, "Eve", token="ticket")
    assert "tickets function failed" in caplog.text


async def test_nobody_is_asked_where_no_token_is_needed() -> None:
    async with (
        running(tickets=lambda text: pytest.fail("asked")) as server,
        await join(server, "Ada", token="ticket") as ada,
    ):
        assert server.claims_of(ada.id) is None
