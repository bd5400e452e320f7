"""Every answer to a request, with the code that the RFC asks for."""

import pytest
from aioice import stun as codec

from signaling.credentials import Credential
from signaling.turn.peers import PeerPolicy
from signaling.turn.stun import Class, Method
from tests.unit.signaling.turn.test_peers import CASES as DISGUISES
from tests.unit.signaling.turn.test_peers import INSIDE
from tests.unit.signaling.turn.turn_lab import (
    ADA,
    BOB,
    EPOCH,
    OWN_V4,
    PEER,
    PEER_V6,
    SECRET,
    UDP,
    Lab,
    Player,
    allocated,
    attribute,
    code,
    family,
    xor_peer,
)

# --- Binding (RFC 8489, 12) ---


def test_anybody_is_told_its_own_address() -> None:
    answer = Lab().player().ask(Method.BINDING)
    assert answer is not None
    assert answer.attributes == {"XOR-MAPPED-ADDRESS": (ADA.host, ADA.port)}


def test_a_binding_with_an_unknown_attribute_is_refused() -> None:
    assert code(Lab().player().ask(Method.BINDING, raw=attribute(0x0003, bytes(4)))) == 420


# --- credentials (RFC 8489, 9.2.4) ---


def test_without_a_signature_there_is_a_challenge() -> None:
    answer = Lab().player().ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})
    assert code(answer) == 401
    assert answer is not None
    assert answer.attributes.keys() == {"ERROR-CODE", "REALM", "NONCE"}


@pytest.mark.parametrize("missing", ["USERNAME", "REALM", "NONCE"])
def test_a_signature_without_the_rest_is_a_bad_request(missing: str) -> None:
    player = Lab().player()
    player.learn(player.ask(Method.ALLOCATE))
    assert player.key is not None
    message = codec.Message(Method.ALLOCATE, Class.REQUEST)
    message.attributes = {
        "USERNAME": player.credential.username,
        "REALM": player.realm,
        "NONCE": player.nonce,
    }
    del message.attributes[missing]
    message.add_message_integrity(player.key)
    player.lab.receive(player.client, bytes(message))
    answer = player.answer()
    assert code(answer) == 400
    assert answer is not None
    assert answer.attributes.keys() == {"ERROR-CODE"}


@pytest.mark.parametrize(
    "credential",
    [
        Credential("fixed", "wrong"),
        Credential("nobody", "password"),
        Credential(SECRET.issue("ada", EPOCH).username, "wrong"),
        SECRET.issue("ada", EPOCH - 100, lifetime=100),
    ],
    ids=["password", "user", "signature", "expired"],
)
def test_wrong_credentials_are_challenged_again(credential: Credential) -> None:
    lab = Lab()
    answer = Player(lab, ADA, credential).allocate()
    assert code(answer) == 401
    assert "MESSAGE-INTEGRITY" not in answer.attributes
    assert lab.open == set()


def test_users_with_a_password_are_let_in() -> None:
    assert code(Player(Lab(), ADA, Credential("fixed", "password")).allocate()) == 0


def test_another_realm_is_challenged() -> None:
    player = Lab().player()
    player.learn(player.ask(Method.ALLOCATE))
    player.realm = "example.com"
    assert code(player.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 401


def test_an_old_nonce_is_stale_and_a_new_one_comes_with_the_answer() -> None:
    player = allocated()
    player.lab.now = 599.0
    assert code(player.refresh(3600)) == 0
    player.lab.now = 602.0
    answer = player.refresh(600)
    assert code(answer) == 438
    player.learn(answer)
    assert code(player.refresh(600)) == 0


def test_a_nonce_of_another_client_is_stale() -> None:
    lab = Lab()
    ada, bob = lab.player(ADA), lab.player(BOB)
    ada.learn(ada.ask(Method.ALLOCATE))
    bob.realm, bob.nonce, bob.key = ada.realm, ada.nonce, ada.key
    assert code(bob.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 438


def test_a_credential_is_looked_at_when_allocating_and_not_afterwards() -> None:
    lab = Lab()
    player = Player(lab, ADA, SECRET.issue("ada", EPOCH, lifetime=60))
    assert code(player.allocate()) == 0
    lab.now = 500.0
    assert code(player.refresh(600)) == 0
    assert code(player.permit(PEER)) == 0
    assert code(player.refresh(0)) == 0
    assert code(player.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 401


def test_an_allocation_belongs_to_who_made_it() -> None:
    player = allocated()
    thief = player.lab.player(ADA, "thief")
    thief.learn(thief.ask(Method.REFRESH))
    for method in (Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND):
        assert code(thief.ask(method)) == 441
    assert code(player.refresh(600)) == 0


def test_answers_to_known_clients_are_signed() -> None:
    player = allocated()
    assert player.key is not None
    for answer in (player.refresh(600), player.permit(("10.0.0.1", 1)), player.permit(PEER)):
        assert answer is not None
        assert answer.check_message_integrity(player.key)


def test_what_must_be_understood_and_is_not_is_refused() -> None:
    lab = Lab()
    answer = lab.player().allocate(raw=attribute(0x001A, b""))  # DONT-FRAGMENT
    assert code(answer) == 420
    assert code(allocated().ask(Method.REFRESH, raw=attribute(0x7ABC, b""))) == 420
    assert lab.open == set()


# --- Allocate (RFC 8656, 7.2) ---


def test_an_allocation_says_what_the_client_has_got() -> None:
    lab = Lab()
    answer = lab.player().allocate()
    assert answer.attributes["XOR-RELAYED-ADDRESS"] in lab.open
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == (ADA.host, ADA.port)
    assert answer.attributes["LIFETIME"] == 600


@pytest.mark.parametrize(
    ("asked", "given"), [(0, 600), (1, 600), (777, 777), (3600, 3600), (2**32 - 1, 3600)]
)
def test_lifetimes_are_between_ten_minutes_and_an_hour(asked: int, given: int) -> None:
    answer = Lab().player().allocate(attributes={"LIFETIME": asked})
    assert answer.attributes["LIFETIME"] == given


def test_the_same_request_again_gets_the_same_answer() -> None:
    lab = Lab()
    player = lab.player()
    player.learn(player.ask(Method.ALLOCATE))
    packet = player.build(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})
    lab.receive(ADA, packet)
    lab.receive(ADA, packet)
    (_, first), (_, second) = lab.taken()
    assert first == second
    assert len(lab.open) == 1


def test_a_second_allocation_is_a_mismatch() -> None:
    assert code(allocated().ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 437


@pytest.mark.parametrize("method", [Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_without_an_allocation_the_rest_is_a_mismatch(method: Method) -> None:
    player = Lab().player()
    player.learn(player.ask(method))
    assert code(player.ask(method)) == 437


@pytest.mark.parametrize(
    ("attributes", "raw", "expected"),
    [
        ({}, b"", 0),
        ({"REQUESTED-TRANSPORT": 6 << 24}, b"", 442),
        ({}, family(1), 0),
        ({}, family(2), 0),
        ({}, family(3), 440),
        ({}, attribute(0x0017, b""), 440),
        ({}, attribute(0x0018, b"\x00"), 0),
        ({}, attribute(0x0018, b"\x80"), 508),
        ({}, attribute(0x0022, bytes(8)), 508),
        ({}, attribute(0x0022, bytes(8)) + family(1), 400),
        ({}, attribute(0x0022, bytes(8)) + attribute(0x0018, b"\x00"), 400),
        ({}, attribute(0x8000, b"\x02\0\0\0"), 0),
    ],
    ids=[
        "plain", "TCP to peers", "IPv4", "IPv6", "family 3", "family of no bytes", "even port",
        "two ports", "token", "token and family", "token and even port", "additional family",
    ],
)  # fmt: skip
def test_what_an_allocation_may_ask_for(
    attributes: dict[str, int], raw: bytes, expected: int
) -> None:
    assert code(Lab().player().allocate(attributes=attributes, raw=raw)) == expected


def test_a_request_without_transport_is_bad() -> None:
    player = Lab().player()
    player.learn(player.ask(Method.ALLOCATE))
    assert code(player.ask(Method.ALLOCATE)) == 400


def test_an_even_port_is_even() -> None:
    assert allocated(raw=attribute(0x0018, b"\x00")).relayed[1] % 2 == 0


@pytest.mark.parametrize("reason", [440, 508])
def test_what_the_system_cannot_give_is_refused(reason: int) -> None:
    lab = Lab()
    lab.refuse_with = reason
    assert code(lab.player().allocate()) == reason


def test_a_name_has_a_quota_whichever_credential_it_shows() -> None:
    lab = Lab(max_allocations_per_user=2)
    players = []
    for port in range(3):
        lab.now += 1
        players.append(lab.player(ADA._replace(port=port)))
    assert [code(player.allocate()) for player in players] == [0, 0, 486]
    assert code(lab.player(BOB, "bob").allocate()) == 0
    assert code(players[0].refresh(0)) == 0
    assert code(players[2].ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 0


def test_all_together_have_a_quota() -> None:
    lab = Lab(max_allocations=2)
    players = [lab.player(ADA._replace(port=port), f"p{port}") for port in range(3)]
    assert [code(player.allocate()) for player in players] == [0, 0, 508]


# --- Refresh (RFC 8656, 8.2) ---


def test_a_refresh_makes_an_allocation_live_longer() -> None:
    player = allocated()
    player.lab.now = 590.0
    answer = player.refresh(1_000)
    assert answer is not None
    assert answer.attributes["LIFETIME"] == 1_000
    player.lab.now = 1_580.0
    player.learn(player.refresh(600))
    assert code(player.refresh(600)) == 0


def test_a_refresh_of_zero_ends_it() -> None:
    player = allocated()
    answer = player.refresh(0)
    assert answer is not None
    assert answer.attributes["LIFETIME"] == 0
    assert player.lab.open == set()
    assert code(player.refresh(600)) == 437


def test_an_allocation_ends_by_itself() -> None:
    player = allocated()
    player.lab.now = 599.0
    player.lab.relay.sweep(player.lab.now)
    assert len(player.lab.open) == 1
    player.lab.now = 600.0
    assert code(player.refresh(600)) == 437
    assert player.lab.open == set()


def test_a_refresh_of_another_family_is_a_mismatch() -> None:
    player = allocated()
    assert code(player.ask(Method.REFRESH, raw=family(1))) == 0
    assert code(player.ask(Method.REFRESH, raw=family(2))) == 443


# --- CreatePermission (RFC 8656, 10.2) and ChannelBind (12.2) ---


@pytest.mark.parametrize("host", [*INSIDE, *DISGUISES])
def test_peers_inside_are_forbidden(host: str) -> None:
    player = allocated(raw=family(2 if ":" in host else 1))
    assert code(player.permit((host, 4000))) == 403
    assert code(player.bind(0x4000, (host, 4000))) == 403
    player.indicate((host, 4000), b"x")
    assert player.lab.to_peers == []


def test_one_forbidden_peer_spoils_the_request() -> None:
    player = allocated()
    assert code(player.permit(PEER, ("10.0.0.1", 1))) == 403
    player.indicate(PEER, b"x")
    assert player.lab.to_peers == []


def test_peers_allowed_by_name_are_permitted() -> None:
    player = allocated(Lab(peers=PeerPolicy(["10.0.0.0/8"])))
    assert code(player.permit(("10.0.0.1", 1))) == 0
    assert code(player.permit(("192.168.0.1", 1))) == 403


def test_a_peer_of_the_other_family_is_a_mismatch() -> None:
    player = allocated()
    assert code(player.permit(PEER_V6)) == 443
    assert code(player.bind(0x4000, PEER_V6)) == 443


def test_a_request_without_peer_is_bad() -> None:
    player = allocated()
    assert code(player.permit()) == 400
    assert code(player.ask(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": 0x4000})) == 400
    assert code(player.ask(Method.CHANNEL_BIND, {"XOR-PEER-ADDRESS": PEER})) == 400
    two = xor_peer(PEER) + xor_peer(("8.8.4.4", 1))
    assert code(player.ask(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": 0x4000}, raw=two)) == 400


@pytest.mark.parametrize(
    ("number", "expected"), [(0, 400), (0x3FFF, 400), (0x4000, 0), (0x7FFF, 0), (0x8000, 400)]
)
def test_channels_have_numbers_of_their_own(number: int, expected: int) -> None:
    assert code(allocated().bind(number, PEER)) == expected


def test_a_channel_and_its_peer_belong_together() -> None:
    player = allocated()
    other = (PEER[0], PEER[1] + 1)
    assert code(player.bind(0x4000, PEER)) == 0
    assert code(player.bind(0x4000, PEER)) == 0
    assert code(player.bind(0x4000, other)) == 400
    assert code(player.bind(0x4001, PEER)) == 400
    assert code(player.bind(0x4001, other)) == 0
    player.lab.now = 599.0
    player.refresh(3600)
    player.lab.now = 600.0
    assert code(player.bind(0x4000, other)) == 0


def test_permissions_are_bounded() -> None:
    player = allocated(Lab(max_permissions=3))
    peers = [(f"8.8.8.{last}", 1) for last in range(5)]
    assert code(player.permit(*peers[:2])) == 0
    assert code(player.permit(*peers[2:4])) == 508
    assert code(player.permit(*peers[1:3])) == 0
    assert code(player.bind(0x4000, peers[3])) == 508
    player.lab.now = 300.0
    assert code(player.permit(*peers[2:5])) == 0


def test_channels_are_bounded() -> None:
    player = allocated(Lab(max_channels=2))
    codes = [code(player.bind(0x4000 + number, (PEER[0], 1 + number))) for number in range(3)]
    assert codes == [0, 0, 508]


def test_the_own_address_may_be_permitted_but_no_service_on_it_named() -> None:
    player = allocated()
    assert code(player.permit((OWN_V4, 22))) == 0
    assert code(player.bind(0x4000, (OWN_V4, 22))) == 403
    player.indicate((OWN_V4, 22), b"x")
    assert player.lab.to_peers == []


# --- strangers ---


def test_a_flood_from_one_address_is_answered_no_faster_than_the_rate() -> None:
    lab = Lab(stranger_burst=10, stranger_rate=2)
    packet = lab.player().build(Method.ALLOCATE)
    for port in range(1_000):
        lab.receive(ADA._replace(port=port), packet)
    assert len(lab.taken()) == 10
    assert lab.relay.stats.unanswered == 990
    lab.now = 5.0
    lab.receive(BOB, packet)
    assert len(lab.taken()) == 1


def test_all_strangers_together_are_answered_at_a_bounded_rate() -> None:
    lab = Lab(challenge_rate=50)
    packet = lab.player().build(Method.BINDING)
    for number in range(1_000):
        lab.receive(ADA._replace(host=f"145.1.{number >> 8}.{number & 255}"), packet)
    assert len(lab.taken()) == 50


def test_who_is_known_is_answered_in_the_midst_of_a_flood() -> None:
    lab = Lab(stranger_burst=10, challenge_rate=50)
    player = allocated(lab)
    packet = player.build(Method.BINDING, signed=False)
    for number in range(1_000):
        lab.receive(BOB._replace(host=f"145.1.{number >> 8}.{number & 255}"), packet)
        lab.receive(BOB._replace(host=player.client.host), packet)
    lab.taken()
    assert code(player.refresh(600)) == 0
