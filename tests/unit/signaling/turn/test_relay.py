"""What is passed on, and what is dropped without a word."""

from aioice import stun as codec

from signaling.turn.peers import PeerPolicy
from signaling.turn.relay import LEAST_CHARGE
from signaling.turn.stun import Class, Method
from tests.unit.signaling.turn.turn_lab import (
    ADA,
    BOB,
    OWN_V4,
    PEER,
    PEER_V6,
    UDP,
    Lab,
    allocated,
    attribute,
    code,
    family,
    send_indication,
)


def test_indications_travel_both_ways() -> None:
    player = allocated()
    lab = player.lab
    player.permit(PEER)
    player.indicate(PEER, b"ping")
    assert lab.to_peers == [(player.relayed, PEER, b"ping")]
    lab.from_peer(player.relayed, PEER, b"pong")
    ((client, packet),) = lab.taken()
    message = codec.parse_message(packet)
    assert client == ADA
    assert (message.message_method, message.message_class) == (Method.DATA, Class.INDICATION)
    assert message.attributes == {"XOR-PEER-ADDRESS": PEER, "DATA": b"pong"}
    assert (lab.relay.stats.to_peers_bytes, lab.relay.stats.to_clients_bytes) == (4, 4)


def test_channels_travel_both_ways() -> None:
    player = allocated()
    player.bind(0x4002, PEER)
    player.say(0x4002, b"ping")
    assert player.lab.to_peers == [(player.relayed, PEER, b"ping")]
    player.lab.from_peer(player.relayed, PEER, b"pong")
    assert player.lab.taken() == [(ADA, b"\x40\x02\x00\x04pong")]


def test_a_permission_is_for_every_port_of_an_address() -> None:
    player = allocated()
    player.permit(PEER)
    player.indicate((PEER[0], 9), b"x")
    player.lab.from_peer(player.relayed, (PEER[0], 10), b"y")
    assert len(player.lab.to_peers) == len(player.lab.taken()) == 1


def test_without_permission_nothing_passes() -> None:
    player = allocated()
    player.permit(("8.8.4.4", 1))
    player.indicate(PEER, b"x")
    player.say(0x4000, b"x")
    player.lab.from_peer(player.relayed, PEER, b"x")
    player.lab.receive(BOB, send_indication(PEER, b"x"))
    player.lab.receive(BOB, b"\x40\x00\x00\x01x")
    player.lab.from_peer((OWN_V4, 1), PEER, b"x")
    assert player.lab.to_peers == player.lab.taken() == []
    assert player.lab.relay.stats.not_permitted == 5


def test_permissions_last_five_minutes() -> None:
    player = allocated()
    player.permit(PEER)
    player.lab.now = 299.0
    player.indicate(PEER, b"x")
    player.lab.from_peer(player.relayed, PEER, b"x")
    assert len(player.lab.to_peers) == len(player.lab.taken()) == 1
    player.lab.now = 300.0
    player.indicate(PEER, b"x")
    player.lab.from_peer(player.relayed, PEER, b"x")
    assert len(player.lab.to_peers) == 1
    assert player.lab.taken() == []


def test_a_channel_that_is_refreshed_only_every_500_seconds_never_falls_silent() -> None:
    """As aioice does it; see `CHANNEL_LIFETIME`."""
    player = allocated(attributes={"LIFETIME": 3600})
    player.bind(0x4000, PEER)
    for now in range(0, 3500, 50):
        player.lab.now = float(now)
        player.lab.relay.sweep(player.lab.now)
        if now % 500 == 0:
            player.learn(player.ask(Method.REFRESH, signed=False))
            assert code(player.bind(0x4000, PEER)) == 0
        player.say(0x4000, b"x")
        player.lab.from_peer(player.relayed, PEER, b"y")
        assert len(player.lab.to_peers) == len(player.lab.taken()) == 1
        player.lab.to_peers.clear()


def test_a_permission_does_not_cut_short_that_of_a_channel() -> None:
    player = allocated()
    player.bind(0x4000, PEER)
    player.permit(PEER)
    player.lab.now = 550.0
    player.say(0x4000, b"x")
    assert len(player.lab.to_peers) == 1


def test_what_is_over_is_swept_away() -> None:
    player = allocated(attributes={"LIFETIME": 3600})
    player.bind(0x4000, PEER)
    player.permit(("8.8.4.4", 1))
    (allocation,) = player.lab.relay.allocations
    player.lab.relay.sweep(300.0)
    assert (len(allocation.permissions), len(allocation.channels)) == (1, 1)
    player.lab.relay.sweep(600.0)
    assert (allocation.permissions, allocation.channels, allocation.channel_of) == ({}, {}, {})
    player.lab.relay.sweep(3600.0)
    assert player.lab.open == set()


def test_an_indication_with_an_unknown_attribute_is_dropped() -> None:
    player = allocated()
    player.permit(PEER)
    packet = send_indication(PEER, b"x")
    longer = packet + attribute(0x001A, b"")  # DONT-FRAGMENT
    player.lab.receive(ADA, codec.set_body_length(longer, len(longer) - 20))
    player.lab.receive(ADA, bytes(codec.Message(Method.SEND, Class.INDICATION)))
    assert player.lab.to_peers == []
    assert player.lab.relay.stats.malformed == 2


def test_answers_and_other_indications_are_ignored() -> None:
    player = allocated()
    for method in Method:
        for kind in (Class.RESPONSE, Class.ERROR, Class.INDICATION):
            player.lab.receive(ADA, bytes(codec.Message(method, kind)))
    assert player.lab.taken() == []


def test_padding_of_channel_data_is_not_passed_on() -> None:
    player = allocated()
    player.bind(0x4000, PEER)
    player.lab.receive(ADA, b"\x40\x00\x00\x01x\0\0\0")
    assert player.lab.to_peers == [(player.relayed, PEER, b"x")]


def test_ipv6_is_relayed_like_ipv4() -> None:
    player = allocated(raw=family(2))
    player.bind(0x4000, PEER_V6)
    player.say(0x4000, b"ping")
    player.lab.from_peer(player.relayed, PEER_V6, b"pong")
    assert player.lab.to_peers == [(player.relayed, PEER_V6, b"ping")]
    assert player.lab.taken() == [(ADA, b"\x40\x00\x00\x04pong")]


# --- what is on this machine ---


def test_two_clients_of_one_relay_reach_each_other_without_leaving_it() -> None:
    lab = Lab()
    ada, bob = lab.player(ADA, "ada"), lab.player(BOB, "bob")
    for player in (ada, bob):
        player.allocate()
    assert code(ada.bind(0x4000, bob.relayed)) == 0
    ada.say(0x4000, b"early")
    assert lab.taken() == []  # Bob has not permitted her yet
    assert code(bob.bind(0x4001, ada.relayed)) == 0
    ada.say(0x4000, b"hello")
    assert lab.taken() == [(BOB, b"\x40\x01\x00\x05hello")]
    assert lab.to_peers == []


def test_a_client_may_even_reach_itself() -> None:
    player = allocated()
    player.bind(0x4000, player.relayed)
    player.say(0x4000, b"echo")
    assert player.lab.taken() == [(ADA, b"\x40\x00\x00\x04echo")]


def test_the_game_server_of_this_machine_is_reached_and_nothing_else_on_it() -> None:
    policy = PeerPolicy()
    player = allocated(Lab(peers=policy))
    game, other = ("192.168.1.5", 4000), ("192.168.1.5", 22)
    assert code(player.permit(game)) == 403
    policy.open(*game)
    assert code(player.permit(game)) == 0
    assert code(player.bind(0x4000, game)) == 0
    assert code(player.bind(0x4001, other)) == 403
    player.say(0x4000, b"join")
    player.indicate(other, b"root")
    assert player.lab.to_peers == [(player.relayed, game, b"join")]
    player.lab.from_peer(player.relayed, game, b"yes")
    player.lab.from_peer(player.relayed, other, b"no")
    assert player.lab.taken() == [(ADA, b"\x40\x00\x00\x03yes")]


def test_a_port_that_was_closed_is_not_reached_any_more() -> None:
    policy = PeerPolicy()
    policy.open("192.168.1.5", 4000)
    player = allocated(Lab(peers=policy))
    player.bind(0x4000, ("192.168.1.5", 4000))
    policy.close("192.168.1.5", 4000)
    player.say(0x4000, b"x")
    assert player.lab.to_peers == []


def test_an_opened_port_of_the_own_address_is_reached() -> None:
    policy = PeerPolicy()
    player = allocated(Lab(peers=policy))
    policy.open(OWN_V4, 4000)
    assert code(player.bind(0x4000, (OWN_V4, 4000))) == 0
    assert code(player.bind(0x4001, (OWN_V4, 4001))) == 403


# --- bounds ---


def test_each_direction_has_its_bandwidth() -> None:
    player = allocated(Lab(bytes_per_second=1_000, burst_bytes=2_000))
    player.bind(0x4000, PEER)
    for _ in range(5):
        player.say(0x4000, bytes(996))
        player.lab.from_peer(player.relayed, PEER, bytes(1_000))
    assert len(player.lab.to_peers) == len(player.lab.taken()) == 2
    assert player.lab.relay.stats.over_bandwidth == 6
    player.lab.now = 1.0
    player.indicate(PEER, bytes(1_000))
    player.indicate(PEER, bytes(1_000))
    assert len(player.lab.to_peers) == 3


def test_small_packets_are_bounded_in_number() -> None:
    player = allocated(Lab(bytes_per_second=1, burst_bytes=10 * LEAST_CHARGE))
    player.bind(0x4000, PEER)
    for _ in range(20):
        player.say(0x4000, b"")
        player.lab.from_peer(player.relayed, PEER, b"")
    assert len(player.lab.to_peers) == len(player.lab.taken()) == 10


def test_requests_about_an_allocation_have_a_rate_that_data_does_not_use_up() -> None:
    player = allocated(Lab(request_burst=5, request_rate=1, bytes_per_second=1, burst_bytes=1))
    player.say(0x4000, b"x")
    player.say(0x4000, b"x")
    answers = [player.refresh(600) for _ in range(8)]
    assert [answer is None for answer in answers] == [False] * 5 + [True] * 3
    player.lab.now = 1.0
    assert code(player.refresh(600)) == 0


def test_data_of_a_stranger_does_not_cost_it_the_way_back() -> None:
    player = allocated(Lab(stranger_burst=5, stranger_rate=0.001))
    player.refresh(0)
    for _ in range(100):
        player.say(0x4000, b"x")
    assert code(player.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 0


def test_one_client_does_not_use_up_the_bandwidth_of_another() -> None:
    lab = Lab(bytes_per_second=1_000, burst_bytes=1_000)
    ada, bob = lab.player(ADA, "ada"), lab.player(BOB, "bob")
    for player in (ada, bob):
        player.allocate()
        player.bind(0x4000, PEER)
        for _ in range(3):
            player.say(0x4000, bytes(1_000))
    assert [relayed for relayed, _, _ in lab.to_peers] == [ada.relayed, bob.relayed]


def test_a_lost_connection_ends_its_allocation() -> None:
    player = allocated()
    player.lab.relay.forget(BOB)
    assert len(player.lab.open) == 1
    player.lab.relay.forget(ADA)
    assert player.lab.open == set()


def test_closing_ends_everything() -> None:
    lab = Lab()
    for port in range(5):
        lab.player(ADA._replace(port=port)).allocate()
    assert len(lab.relay.allocations) == 5
    lab.relay.close()
    assert lab.open == set()
    assert len(lab.relay.allocations) == 0


def test_nonsense_costs_nothing() -> None:
    player = allocated()
    for packet in (b"", b"\0", b"\x40", b"\xff" * 100, bytes(20), bytes(1000)):
        player.lab.receive(ADA, packet)
        player.lab.receive(BOB, packet)
    assert player.lab.taken() == []
    assert player.lab.relay.stats.malformed == 12
