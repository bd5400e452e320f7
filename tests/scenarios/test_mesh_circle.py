"""Everybody in a room becomes everybody's peer, once, however ids and links come and go."""

import pytest

from netcode.link.delivery import RELIABLE
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.mesh.peer import MeshPeer
from netcode.mesh.words import CONTROL, Hello, Here, Ready, Welcome, decode, encode
from netcode.transports.link_model import PRESETS, Conditions
from tests.scenarios.town import End, Town

LAN, WIFI, LOSS = PRESETS["lan"], PRESETS["wifi"], PRESETS["loss5"]


def three(seed: int = 1, weather: Conditions = LAN, **options: float) -> tuple[Town, list[End]]:
    town = Town(seed, weather, **options)
    ends = [town.come(name) for name in ("Ada", "Bob", "Cyd")]
    town.run_until(town.all_connected, within=10.0)
    return town, ends


def peer_of(end: End, other: End) -> MeshPeer:
    return end.circle.peers[other.id]


def caller_and_callee(one: End, other: End) -> tuple[End, End]:
    return (one, other) if peer_of(one, other)._called else (other, one)


def talk(town: Town, seconds: float) -> None:
    for _ in range(round(seconds * 50)):
        for end in town.ends:
            for peer in list(end.circle.peers.values()):
                end.say(peer)
        town.run(0.02)


def check(town: Town) -> None:
    """All that was said has been heard, once, and in order where that is promised."""
    by_id = {end.id: end for end in town.ends}

    def all_heard() -> bool:
        return all(
            len(by_id[to].heard.get((end.id, delivery), [])) >= said
            for end in town.ends
            for (to, delivery), said in end.said.items()
        )

    town.run_until(all_heard, within=60.0)
    town.run(2.0)
    for end in town.ends:
        for (to, delivery), said in end.said.items():
            heard = by_id[to].heard[end.id, delivery]
            assert (sorted(heard) if delivery == "UNORDERED" else heard) == list(range(said))


def joined_once(town: Town) -> bool:
    return all(
        sorted(news for news in end.news if not news.startswith("re"))
        == sorted(f"joined {other.name}" for other in town.ends if other is not end)
        for end in town.ends
    )


@pytest.mark.parametrize("weather", [LAN, WIFI, LOSS])
@pytest.mark.parametrize("seed", range(3))
def test_who_comes_in_at_the_same_time_meets_everybody_once(seed: int, weather: Conditions) -> None:
    town = Town(seed, weather)
    for number in range(5):
        town.come(f"P{number}")
    talk(town, 3.0)
    town.run_until(town.all_connected, within=10.0)
    assert joined_once(town)
    check(town)


@pytest.mark.parametrize("seed", range(8))
def test_when_all_come_into_the_room_again_nobody_notices(seed: int) -> None:
    town, ends = three(seed)
    for _ in range(3):
        town.stop_signaling()
        talk(town, 1.0)
        for end in town.rng.sample(ends, 3):
            end.enter()
            town.run(town.rng.choice([0.0, 0.01, 0.3, 2.0]))
    talk(town, 2.0)
    town.come("Dan")
    town.run_until(town.all_connected, within=10.0)
    assert joined_once(town)
    check(town)


@pytest.mark.parametrize("callee_first", [False, True])
@pytest.mark.parametrize("moved", ["both", "caller", "callee"])
def test_two_who_lost_their_link_and_their_ids_find_each_other(
    moved: str, callee_first: bool
) -> None:
    """Neither could tell the other where it is, and whoever called first is to call again."""
    town, (ada, bob, _) = three()
    caller, callee = caller_and_callee(ada, bob)
    town.cut(ada, bob)
    order = [callee, caller] if callee_first else [caller, callee]
    movers = [end for end in order if moved == "both" or (end is caller) == (moved == "caller")]
    for end in movers:
        end.drop_out()
    talk(town, 3.0)
    assert peer_of(ada, bob).reconnecting
    assert peer_of(bob, ada).reconnecting
    for end in movers:
        end.enter()
        town.run(0.1)
    talk(town, 4.0)
    for end, other in ((ada, bob), (bob, ada)):
        assert end.news[-2:] == [f"reconnecting {other.name}", f"resumed {other.name}"]
    assert joined_once(town)
    check(town)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_all_are_connected_in_the_end_and_nothing_is_lost(seed: int) -> None:
    town = Town(seed, [LAN, WIFI, LOSS][seed % 3])
    ends = [town.come(f"P{number}") for number in range(4)]
    town.run_until(town.all_connected, within=20.0)
    town.run(1.0)  # and all have their tickets
    for _ in range(15):
        match town.rng.randrange(5):
            case 0:
                town.stop_signaling()
            case 1:
                town.cut(*town.rng.sample(ends, 2))
            case 2:
                end = town.rng.choice(ends)
                end.drop_out()
                end.enter()
            case _:
                for end in town.rng.sample(ends, 2):
                    if not end.is_in:
                        end.enter()
        talk(town, town.rng.uniform(0.02, 1.0))
    for end in ends:
        if not end.is_in:
            end.enter()
    town.run_until(town.all_connected, within=20.0)
    assert joined_once(town)
    check(town)


@pytest.mark.parametrize("seed", range(40))
def test_two_who_call_each_other_before_they_know_each_other_become_peers_once(seed: int) -> None:
    """Each comes in again while its first call is under way, and so is newer than the other."""
    town = Town(seed, [LAN, WIFI, LOSS][seed % 3])
    ada, bob = town.come("Ada"), town.come("Bob")
    for _ in range(3):
        for end in (ada, bob):
            town.run(town.rng.uniform(0.0, 0.25))
            end.drop_out()
            end.enter()
    town.run_until(town.all_connected, within=20.0)
    talk(town, 1.0)
    assert joined_once(town)
    assert [*ada.news, *bob.news] == ["joined Bob", "joined Ada"]
    check(town)


def test_a_cut_between_two_does_not_concern_the_third() -> None:
    town, (ada, bob, cyd) = three()
    town.cut(ada, bob)
    talk(town, 6.0)
    assert sorted(cyd.news) == ["joined Ada", "joined Bob"]
    assert town.all_connected()
    check(town)


def test_who_is_gone_for_longer_than_the_grace_period_comes_in_as_somebody_new() -> None:
    town, (ada, bob, cyd) = three(grace=4.0)
    cyd.asleep = True
    for other in (ada, bob):
        town.cut(other, cyd)
    town.run(10.0)
    for end in (ada, bob):
        assert end.news[-1] == "left Cyd: " + end.news[-1].partition(": ")[2]
        assert end.news[-1].startswith("left Cyd: lost: ")
        assert list(end.circle.peers) == [(bob if end is ada else ada).id]
    cyd.asleep = False
    town.run_until(town.all_connected, within=20.0)
    assert ada.news[-1] == "joined Cyd"


def test_of_two_graces_the_shorter_counts() -> None:
    town = Town(1, LAN, grace=30.0)
    ada = town.come("Ada")
    town.grace = 3.0
    bob = town.come("Bob")
    town.run_until(town.all_connected, within=5.0)
    for end in (ada, bob):
        end.drop_out()
    town.cut(ada, bob)
    town.run(7.0)
    for end in (ada, bob):
        assert end.news[-1].startswith("left ")


def test_a_goodbye_is_the_end_and_is_not_called_again() -> None:
    town, (ada, bob, cyd) = three()
    cyd.circle.close("left")
    town.run(3.0)
    for end in (ada, bob):
        assert end.news[-1] == "left Cyd: left"
    assert cyd.circle.peers == {}


def test_without_grace_a_failed_link_is_the_end_and_the_two_meet_anew() -> None:
    town, (ada, bob, _) = three(grace=0.0)
    for end in (ada, bob):
        end.drop_out()
    town.cut(ada, bob)
    town.run(4.0)
    for end, other in ((ada, bob), (bob, ada)):
        assert end.news[-1].startswith(f"left {other.name}: lost: ")
        assert not any("reconnecting" in news for news in end.news)
        end.enter()
    town.run_until(town.all_connected, within=5.0)
    assert ada.news[-1] == "joined Bob"


def test_an_impostor_does_not_take_a_peers_place() -> None:
    """Eve comes in, says that she is Bob, who is lost at the moment, and passes on what is said."""
    town, (ada, bob, _) = three()
    for end in (ada, bob):
        end.drop_out()
    town.cut(ada, bob)
    town.run(3.0)
    eve = End(town, "Eve")
    town.ends.append(eve)
    eve.circle.id = bob.id
    eve.enter()
    ada.enter()
    town.run(3.0)
    assert peer_of(ada, bob).reconnecting
    assert peer_of(ada, bob)._room_id != eve.circle.room_id
    town.ends.remove(eve)
    eve.drop_out()
    bob.enter()
    town.run(4.0)
    assert ada.news[-1] == "resumed Bob"


def test_who_claims_somebody_elses_id_keeps_nobody_apart() -> None:
    town = Town(1, PRESETS["lan"])
    ada = town.come("Ada")
    town.run(0.5)
    mal = town.come("Mal")
    town.run_until(town.all_connected, 10.0)
    bob = town.come("Bob")
    for peer in mal.circle.peers.values():
        peer._say(Here(bob.circle.room_id))
    town.run(5.0)
    assert sorted(peer.name for peer in ada.circle.peers.values()) == ["Bob", "Mal"]
    assert sorted(peer.name for peer in bob.circle.peers.values()) == ["Ada", "Mal"]


def test_one_member_is_one_peer() -> None:
    town = Town(2, PRESETS["lan"])
    ada = town.come("Ada")
    town.run(0.5)
    mal = town.come("Mal")
    town.run_until(town.all_connected, 10.0)
    [first] = mal.circle.peers.values()
    first._say(Here("nowhere"))
    closed: list[str] = []
    links: list[Link] = []
    for number in range(5):
        near, ring = town.line(mal, ada.circle.room_id)
        ring()
        session = Session()
        control = session.open(CONTROL, RELIABLE)[0]

        def answer(channel: Channel, payload: bytes) -> None:
            if isinstance(decode(payload), Welcome):
                links[-1].send(control, encode(Ready()))  # noqa: B023

        links.append(
            Link(
                near,
                session,
                town.clock,
                on_message=answer,
                on_datagram=lambda data: None,
                on_closed=closed.append,
            )
        )
        links[-1].on_ticket = lambda ticket: None
        links[-1].start()
        links[-1].send(control, encode(Hello(f"made up {number}", bytes(16), 10.0)))
        town.run(0.3)
    assert len(ada.circle.peers) == 1
    assert closed == ["this member is a peer already"] * 5
