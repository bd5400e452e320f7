"""Tokens, TLS and draining as a game meets them, over real WebRTC."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import netcode as nc
from netcode.transports import gathering
from signaling import JoinSecret, SignalingServer
from signaling.messages import IceServer
from tests.integration.certificates import make_certificate
from tests.integration.processes import Child, children
from tests.integration.programs import arena
from tests.integration.test_play import GAME, Steer, make_server, until

PROGRAMS = Path(__file__).parent / "programs"
SECRET = "a secret that the back end knows"


NO_SIGNALS = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no signals to send to a process"
)


def token(name: str, room: str = "game", **more: Any) -> str:
    now = more.pop("now", time.time())
    return JoinSecret(SECRET).issue(name=name, room=room, lifetime=3_600, now=now, **more)


@pytest.fixture
async def server() -> AsyncIterator[nc.Server]:
    async with make_server(join_secret=SECRET) as server:
        yield server


def players(server: nc.Server) -> set[tuple[str, str | None]]:
    return {(player.name, player.subject) for player in server.players.values()}


# --- tokens --------------------------------------------------------------------------------------


async def test_the_back_end_says_who_a_player_is(server: nc.Server) -> None:
    async with nc.connect(
        server.url, GAME, name="whoever", token=token("Ada", subject="account 7")
    ) as ada:
        assert ada.name == "Ada"
        assert players(server) == {("Ada", "account 7")}


async def test_nobody_takes_anothers_name_by_saying_it(server: nc.Server) -> None:
    async with (
        nc.connect(server.url, GAME, name="Ada", token=token("Ada", subject="account 7")),
        # She says so to signaling, and again in the hello on the WebRTC link.
        nc.connect(server.url, GAME, name="Ada", token=token("Eve", subject="account 8")) as eve,
    ):
        assert eve.name == "Eve"
        assert players(server) == {("Ada", "account 7"), ("Eve", "account 8")}


async def test_who_was_not_checked_by_signaling_does_not_get_into_the_game(
    server: nc.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server._signaling is not None
    monkeypatch.setattr(server._signaling, "claims_of", lambda peer: None)
    with pytest.raises(nc.NetcodeError):
        async with nc.connect(server.url, GAME, token=token("Ada"), timeout=5):
            pass
    assert players(server) == set()


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (None, "token_missing", "sign in to the game to get one"),
        ("v1.nonsense.nonsense", "token_invalid", "get a new one"),
        (token("Ada", now=time.time() - 8_000), "token_expired", "get a new one"),
        (token("Ada", room="another"), "token_wrong_room", "get one for this one"),
    ],
    ids=lambda value: str(value)[:15],
)
async def test_who_has_no_good_token_is_told_what_to_do(
    server: nc.Server, given: str | None, code: str, says: str
) -> None:
    with pytest.raises(nc.Refused, match=says) as caught:
        async with nc.connect(server.url, GAME, name="Ada", token=given):
            pass
    assert caught.value.code == code
    assert players(server) == set()


async def test_a_token_for_one_server_does_not_open_another_one_of_the_same_secret() -> None:
    async with make_server(join_secret=SECRET, room="match 2") as server:
        with pytest.raises(nc.Refused) as caught:
            async with nc.connect(server.url, GAME, token=token("Ada"), room="match 2"):
                pass
        assert caught.value.code == "token_wrong_room"
        async with nc.connect(server.url, GAME, token=token("Ada", room="match 2"), room="match 2"):
            assert players(server) == {("Ada", None)}


async def test_the_same_token_is_one_seat(server: nc.Server) -> None:
    again = token("Ada")
    async with (
        nc.connect(server.url, GAME, token=again) as first,
        nc.connect(server.url, GAME, token=again) as second,
    ):
        await until(lambda: first.error is not None)
        assert "displaced" in str(first.error)
        assert list(server.players) == [second.player_id]


async def test_open_games_take_everybody_and_a_token_for_nothing() -> None:
    async with (
        make_server() as server,
        nc.connect(server.url, GAME, name="Ada"),
        nc.connect(server.url, GAME, name="Bob", token=token("Eve")),
    ):
        assert players(server) == {("Ada", None), ("Bob", None)}


async def test_members_of_a_mesh_are_called_as_their_tokens_say() -> None:
    async with SignalingServer(join_secret=SECRET) as signaling:
        url = f"ws://127.0.0.1:{signaling.port}"
        async with (
            nc.join_mesh(url, room="42", name="x", token=token("Ada", "42")) as ada,
            nc.join_mesh(url, room="42", name="Ada", token=token("Eve", "42")) as eve,
        ):
            await ada.wait_for_peers(1)
            assert [peer.name for peer in ada.peers.values()] == ["Eve"]
            assert [peer.name for peer in eve.peers.values()] == ["Ada"]
        with pytest.raises(nc.Refused) as caught:
            async with nc.join_mesh(url, room="42", name="Bob"):
                pass
        assert caught.value.code == "token_missing"


async def test_a_mesh_asks_for_new_credentials_when_somebody_is_about_to_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "TIMEOUT", 0.2)
    asked: list[str] = []

    def servers(subject: str) -> list[IceServer]:
        asked.append(subject)
        # Nobody answers there, and nobody has to: all are on this machine.
        return [IceServer(("turn:127.0.0.1:9?transport=udp",), f"{len(asked)}:{subject}", "x")]

    async with SignalingServer(ice_servers=servers) as signaling:
        url = f"ws://127.0.0.1:{signaling.port}"
        async with nc.join_mesh(url, room="42") as ada:
            before = ada._presence.membership
            assert before is not None
            first = before.member.ice_servers
            async with nc.join_mesh(url, room="42"):
                await ada.wait_for_peers(1)
                assert asked.count(ada.id) == 2
                assert before.member.ice_servers != first


async def test_a_servers_relays_are_asked_for_by_the_players_subject() -> None:
    asked: list[str] = []

    def servers(subject: str) -> list[IceServer]:
        asked.append(subject)
        return []

    server = make_server(join_secret=SECRET, ice_servers=servers)
    assert asked == []
    async with server:
        async with nc.connect(server.url, GAME, token=token("Ada", subject="account 7")):
            pass
        with pytest.raises(nc.Refused):
            async with nc.connect(server.url, GAME, name="Eve"):
                pass
        assert server._member is not None
        own = server._member.id
        # At its start and for the transport to the player it asks for itself.
        assert asked == [own, "account 7", own]


async def test_a_server_whose_relays_fail_goes_on_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    works = [True]

    def servers(subject: str) -> list[IceServer]:
        if not works[0] and subject != "account 7":
            raise RuntimeError("the secret is gone")
        return []

    async with make_server(join_secret=SECRET, ice_servers=servers) as server:
        works[0] = False
        async with nc.connect(server.url, GAME, token=token("Ada", subject="account 7")) as ada:
            assert ada.joined
    assert "goes on without" in caplog.text


# --- TLS -----------------------------------------------------------------------------------------


async def test_a_server_with_a_certificate_is_reached_by_who_trusts_it(tmp_path: Path) -> None:
    cert = make_certificate(tmp_path / "cert.pem", key=tmp_path / "key.pem")
    server = make_server()
    await server.start(cert=cert, key=tmp_path / "key.pem")
    async with server:
        assert server.url.startswith("wss://127.0.0.1:")
        async with nc.connect(server.url, GAME, name="Ada", ca_file=cert) as ada:
            assert ada.joined
        with pytest.raises(nc.Unreachable, match=r"not trusted .*ca_file"):
            async with nc.connect(server.url, GAME, name="Eve"):
                pass


async def test_misuse_of_tls_and_tokens_is_told_at_once(tmp_path: Path) -> None:
    cert = make_certificate(tmp_path / "cert.pem")
    missing = tmp_path / "missing.pem"
    with pytest.raises(nc.UsageError, match="ca_file is for wss:// only"):
        nc.connect("ws://localhost:1", GAME, ca_file=cert)
    with pytest.raises(nc.UsageError, match=r"missing\.pem is no file"):
        nc.connect("wss://localhost:1", GAME, ca_file=missing)
    with pytest.raises(nc.UsageError, match="token"):
        nc.connect("ws://localhost:1", GAME, token="t" * 2_000)
    with pytest.raises(nc.UsageError, match="room"):
        nc.join_mesh("ws://localhost:1", room="")
    with pytest.raises(nc.UsageError, match="at least 16 bytes"):
        nc.Server(GAME, join_secret="short")
    with pytest.raises(nc.UsageError, match="no address of a proxy"):
        nc.Server(GAME, trust_proxies=["example.org"])
    with pytest.raises(nc.UsageError, match="room"):
        nc.Server(GAME, room="")
    with pytest.raises(nc.UsageError, match="drain is 0 to"):
        nc.Server(GAME).run(0, drain=-1)
    server = nc.Server(GAME)
    with pytest.raises(nc.UsageError, match=r"missing\.pem cannot be used"):
        await server.start(cert=missing)
    async with server:  # nothing is left of the attempt
        assert server.url.startswith("ws://")


# --- draining ------------------------------------------------------------------------------------


async def test_players_are_told_may_finish_and_end_the_drain_by_leaving() -> None:
    server = make_server()
    heard: list[float] = []
    server.on_drain(heard.append)
    async with server, nc.connect(server.url, GAME, name="Ada") as ada:
        draining = asyncio.create_task(server.drain(60))
        await until(lambda: ada.draining is not None, ada)
        assert heard == [60]
        with pytest.raises(nc.Refused, match="going away") as caught:
            async with nc.connect(server.url, GAME, name="Bob"):
                pass
        assert caught.value.code == "draining"
        await until(lambda: server.tick > 30, ada)
        assert not draining.done()
        ada._guest.close()
        async with asyncio.timeout(10):
            await draining
        with pytest.raises(nc.UsageError, match="does not run"):
            _ = server.url


async def test_who_stays_is_told_at_the_end_and_the_server_can_start_again() -> None:
    server = make_server()
    async with server, nc.connect(server.url, GAME, name="Ada") as ada:
        async with asyncio.timeout(10):
            await server.drain(0.1)
        with pytest.raises(nc.Disconnected, match="the server is going away"):
            await until(lambda: False, ada)
    async with server, nc.connect(server.url, GAME, name="Ada") as again:
        assert again.draining is None
        again.update(Steer())


async def test_a_time_that_makes_no_sense_changes_nothing() -> None:
    server = make_server()
    await server.drain(5)  # it does not run
    async with server:
        with pytest.raises(nc.UsageError, match="seconds"):
            await server.drain(-1)
        async with nc.connect(server.url, GAME, name="Ada"):
            pass


@NO_SIGNALS
@pytest.mark.parametrize(("seconds", "leaves"), [("600", True), ("0", False)])
async def test_a_server_that_runs_ends_when_the_last_player_has_left_or_the_time_is_over(
    seconds: str, leaves: bool
) -> None:
    with children() as started:
        child = Child(str(PROGRAMS / "draining_server.py"), seconds)
        started.append(child)
        line = await asyncio.to_thread(child.wait_for, "serving on")
        url = line.split()[3].replace("localhost", "127.0.0.1")
        async with nc.connect(url, arena.GAME, name="Ada") as ada:
            child.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(child.wait_for, f"draining {float(seconds)}")
            if leaves:
                ada._guest.close()
            else:
                await until(lambda: ada.error is not None)
                assert str(ada.error) == "the server is going away"
        await asyncio.to_thread(child.wait_for, "ended")
        assert await asyncio.to_thread(child.wait) == 0
        assert not [line for line in child.output if "Traceback" in line]


@NO_SIGNALS
async def test_sigterm_drains_a_server_that_runs_and_a_second_one_ends_it() -> None:
    with children() as started:
        child = Child(str(PROGRAMS / "draining_server.py"), "600")
        started.append(child)
        line = await asyncio.to_thread(child.wait_for, "serving on")
        url = line.split()[3].replace("localhost", "127.0.0.1")
        async with nc.connect(url, arena.GAME, name="Ada") as ada:
            child.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(child.wait_for, "draining 600.0")
            await until(lambda: ada.draining is not None)
            child.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(child.wait_for, "ended")
            assert await asyncio.to_thread(child.wait) == 0
            await until(lambda: ada.error is not None)
            assert str(ada.error) == "the server has stopped"
