"""Which STUN and TURN servers belong to which rung."""

import pytest

from netcode.rungs import Rung, servers_for
from signaling import IceServer

STUN = IceServer(("stun:s.example:3478", "stuns:s.example"))
TURN = IceServer(
    ("turn:t.example:3478", "turn:t.example?transport=tcp", "turns:t.example:5349"), "ada", "secret"
)


def only(*urls: str) -> IceServer:
    return IceServer(urls, "ada", "secret")


def test_the_best_rung_comes_first() -> None:
    assert list(Rung) == ["direct", "turn_udp", "turn_tcp", "websocket"]


def test_direct_asks_stun_servers_only() -> None:
    assert servers_for(Rung.DIRECT, [TURN, STUN]) == [(STUN,)]


def test_a_turn_server_stands_in_for_stun_and_keeps_its_credentials_to_itself() -> None:
    tcp_first = IceServer(("turn:a.example?transport=tcp",), "ada", "secret")
    assert servers_for(Rung.DIRECT, [tcp_first, TURN]) == [(IceServer(("stun:t.example:3478",)),)]
    asked = servers_for(Rung.DIRECT, [only("TURN:[::1]:3478?transport=udp")])
    assert asked == [(IceServer(("stun:[::1]:3478",)),)]


@pytest.mark.parametrize("servers", [[], [only("turn:t.example?transport=tcp")]])
def test_direct_is_tried_without_any_server_too(servers: list[IceServer]) -> None:
    assert servers_for(Rung.DIRECT, servers) == [()]


def test_turn_by_udp() -> None:
    assert servers_for(Rung.TURN_UDP, [STUN, TURN]) == [(only("turn:t.example:3478"),)]
    assert servers_for(Rung.TURN_UDP, [STUN]) == []


def test_turn_by_tcp_comes_before_turn_by_tls() -> None:
    other = only("turns:o.example?transport=tcp", "turns:o.example?transport=udp")
    assert servers_for(Rung.TURN_TCP, [TURN, STUN, other]) == [
        (only("turn:t.example?transport=tcp"),),
        (only("turns:t.example:5349"), only("turns:o.example?transport=tcp")),
    ]
    assert servers_for(Rung.TURN_TCP, [only("turns:t.example")]) == [(only("turns:t.example"),)]
    assert servers_for(Rung.TURN_TCP, [STUN]) == []


def test_the_websocket_needs_no_server() -> None:
    assert servers_for(Rung.WEBSOCKET, [STUN, TURN]) == [()]


def test_urls_of_other_kinds_are_left_out() -> None:
    odd = IceServer(("http://x.example", "", "turnip:x", "stun"))
    assert servers_for(Rung.DIRECT, [odd]) == [()]
    assert servers_for(Rung.TURN_UDP, [odd]) == []
