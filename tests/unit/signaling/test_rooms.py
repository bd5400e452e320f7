"""Membership and relaying, without any socket."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from signaling.errors import Refused, UsageError
from signaling.limits import SignalingLimits
from signaling.messages import (
    Answer,
    AnswerFrom,
    Candidate,
    CandidateFrom,
    IceServer,
    Join,
    Joined,
    Offer,
    OfferFrom,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    Role,
)
from signaling.rooms import Rooms


def numbered() -> Callable[[], str]:
    """Return a source of the ids p1, p2, p3, …"""
    numbers = itertools.count(1)
    return lambda: f"p{next(numbers)}"


def make_rooms(max_rooms: int = 10, max_peers: int = 10) -> Rooms:
    limits = SignalingLimits(max_rooms=max_rooms, max_peers_per_room=max_peers)
    return Rooms(limits, numbered())


def refused(code: str) -> pytest.RaisesExc[Refused]:
    return pytest.raises(Refused, check=lambda error: error.code == code)


def test_the_first_peer_finds_an_empty_room() -> None:
    assert make_rooms().join(Join("den", "Ada")) == (
        "p1",
        [("p1", Joined("p1", "den", None, ()))],
    )


def test_a_newcomer_hears_who_is_here_and_they_hear_it() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada", "host"))
    rooms.join(Join("den", "Bob"))
    _, deliveries = rooms.join(Join("den", "Cyd"))
    assert deliveries == [
        ("p3", Joined("p3", "den", "p1", (PeerInfo("p1", "Ada"), PeerInfo("p2", "Bob")))),
        ("p1", PeerJoined("p3", "Cyd")),
        ("p2", PeerJoined("p3", "Cyd")),
    ]


def test_a_host_that_comes_later_is_announced_as_host() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada"))
    _, deliveries = rooms.join(Join("den", "Bob", "host"))
    assert deliveries == [
        ("p2", Joined("p2", "den", "p2", (PeerInfo("p1", "Ada"),))),
        ("p1", PeerJoined("p2", "Bob", "host")),
    ]


def test_a_second_host_is_refused_and_nothing_changes() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada", "host"))
    with refused("room_has_host"):
        rooms.join(Join("den", "Eve", "host"))
    _, deliveries = rooms.join(Join("den", "Bob"))
    assert deliveries[0][1] == Joined("p2", "den", "p1", (PeerInfo("p1", "Ada"),))


def test_everyone_hears_that_the_host_left_and_another_may_come() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada", "host"))
    rooms.join(Join("den", "Bob"))
    rooms.join(Join("den", "Cyd"))
    assert rooms.leave("p1", "lost") == [
        ("p2", PeerLeft("p1", "lost")),
        ("p3", PeerLeft("p1", "lost")),
    ]
    peer_id, deliveries = rooms.join(Join("den", "Dan", "host"))
    joined = deliveries[0][1]
    assert isinstance(joined, Joined)
    assert joined.host == peer_id


def test_leaving_twice_or_without_having_joined_is_nothing() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada"))
    rooms.join(Join("den", "Bob"))
    assert rooms.leave("p1", "left") != []
    assert rooms.leave("p1", "left") == []
    assert rooms.leave("nobody", "left") == []


def test_a_reserved_room_has_no_other_host() -> None:
    rooms = make_rooms()
    rooms.reserve("den")
    with refused("room_reserved"):
        rooms.join(Join("den", "Eve", "host"))
    rooms.join(Join("den", "Bob"))
    host, _ = rooms.join(Join("den", "the game", "host"), reserved=True)
    rooms.leave(host, "left")
    with refused("room_reserved"):
        rooms.join(Join("den", "Eve", "host"))
    rooms.release("den")
    rooms.join(Join("den", "Eve", "host"))


def test_a_room_with_a_host_cannot_be_reserved_nor_one_twice() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada", "host"))
    with refused("room_has_host"):
        rooms.reserve("den")
    rooms.reserve("attic")
    with refused("room_reserved"):
        rooms.reserve("attic")


@pytest.mark.parametrize(
    ("message", "arrives"),
    [
        (Offer("p2", "v=0"), OfferFrom("p1", "v=0")),
        (Answer("p2", "v=0"), AnswerFrom("p1", "v=0")),
        (Candidate("p2", "c", "0", 0), CandidateFrom("p1", "c", "0", 0)),
        (Candidate("p2", None), CandidateFrom("p1", None)),
    ],
)
def test_a_message_arrives_with_its_senders_id(
    message: Offer | Answer | Candidate, arrives: object
) -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada"))
    rooms.join(Join("den", "Bob"))
    assert rooms.relay("p1", message) == [("p2", arrives)]


@pytest.mark.parametrize("target", ["p3", "p1", "nobody", ""])
def test_only_others_in_the_own_room_can_be_reached(target: str) -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada"))  # p1, who sends
    rooms.join(Join("den", "Bob"))
    rooms.join(Join("attic", "Cyd"))  # p3 exists, but not for p1
    with refused("unknown_peer"):
        rooms.relay("p1", Offer(target, "v=0"))


def test_who_left_reaches_nobody() -> None:
    rooms = make_rooms()
    rooms.join(Join("den", "Ada"))
    rooms.join(Join("den", "Bob"))
    rooms.leave("p1", "left")
    with refused("unknown_peer"):
        rooms.relay("p1", Offer("p2", "v=0"))


def test_a_full_room_lets_somebody_in_when_somebody_leaves() -> None:
    rooms = make_rooms(max_peers=2)
    rooms.join(Join("den", "Ada"))
    rooms.join(Join("den", "Bob"))
    with refused("room_full"):
        rooms.join(Join("den", "Cyd"))
    rooms.join(Join("attic", "Cyd"))
    rooms.leave("p1", "left")
    rooms.join(Join("den", "Dan"))


def test_the_number_of_rooms_is_bounded_and_empty_ones_do_not_count() -> None:
    rooms = make_rooms(max_rooms=1)
    rooms.join(Join("den", "Ada"))
    with refused("too_many_rooms"):
        rooms.join(Join("attic", "Bob"))
    rooms.leave("p1", "left")
    assert len(rooms) == 0
    rooms.join(Join("attic", "Bob"))


def test_ice_servers_may_differ_for_each_newcomer() -> None:
    rooms = Rooms(SignalingLimits(), numbered(), lambda peer: [IceServer(("turn:x",), peer, "c")])
    _, deliveries = rooms.join(Join("den", "Ada"))
    joined = deliveries[0][1]
    assert isinstance(joined, Joined)
    assert joined.ice_servers == (IceServer(("turn:x",), "p1", "c"),)


def test_a_failing_source_of_ice_servers_leaves_nobody_behind() -> None:
    def fail(peer_id: str) -> list[IceServer]:
        raise RuntimeError("no credentials today")

    rooms = Rooms(SignalingLimits(), numbered(), fail)
    with pytest.raises(RuntimeError):
        rooms.join(Join("den", "Ada"))
    assert len(rooms) == 0


def test_ids_must_be_fresh() -> None:
    rooms = Rooms(SignalingLimits(), lambda: "same")
    rooms.join(Join("den", "Ada"))
    with pytest.raises(UsageError, match="new_id"):
        rooms.join(Join("attic", "Bob"))


class Membership(RuleBasedStateMachine):
    """Every peer's own idea of its room, made only from what it was delivered, is the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms = make_rooms(max_rooms=2, max_peers=3)
        self.room_of: dict[str, str] = {}
        self.others: dict[str, set[str]] = {}
        self.host: dict[str, str | None] = {}

    def deliver(self, deliveries: list[tuple[str, object]]) -> None:
        for peer, message in deliveries:
            match message:
                case Joined():
                    self.others[peer] = {other.id for other in message.peers}
                    self.host[peer] = message.host
                case PeerJoined():
                    self.others[peer].add(message.id)
                    if message.role == "host":
                        self.host[peer] = message.id
                case PeerLeft():
                    self.others[peer].remove(message.id)
                    if self.host[peer] == message.id:
                        self.host[peer] = None

    @rule(room=st.sampled_from("abc"), role=st.sampled_from(["host", "peer"]))
    def join(self, room: str, role: Role) -> None:
        before = len(self.rooms)
        try:
            peer, deliveries = self.rooms.join(Join(room, "n", role))
        except Refused:
            assert len(self.rooms) == before
            return
        self.room_of[peer] = room
        self.deliver(list(deliveries))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.room_of:
            peer = data.draw(st.sampled_from(sorted(self.room_of)))
            del self.room_of[peer], self.others[peer], self.host[peer]
            self.deliver(list(self.rooms.leave(peer, "left")))

    @invariant()
    def everyone_knows_the_room(self) -> None:
        for peer, room in self.room_of.items():
            mates = {other for other, theirs in self.room_of.items() if theirs == room}
            assert self.others[peer] == mates - {peer}
            assert len(mates) <= 3
            assert len({self.host[mate] for mate in mates}) == 1
            assert self.host[peer] is None or self.host[peer] in mates
        assert len(self.rooms) == len(set(self.room_of.values())) <= 2


Membership.TestCase.settings = settings(deadline=None, stateful_step_count=30)

test_membership = Membership.TestCase
