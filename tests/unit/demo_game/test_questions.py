"""What is asked about the state, how it is answered, and what is kept of the answers."""

from collections.abc import Callable

import pytest

import netcode as nc
from demo_game.game import GAME, Ask, AskFigures, Bullet, Crystal, Figures, Rock, Ship, Why
from demo_game.inquiry import ASK_EVERY, VERDICTS, FiguresPoll, Inquiry, Poll, pick, title_of
from demo_game.questions import Allowance, asked_about, bits_of, figures, question, why


class Server:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[nc.Message] = []
        self.replies: list[nc.Reply[nc.Message]] = []
        self.full = False

    def request(self, message: nc.Message) -> nc.Reply[nc.Message]:
        if self.full:
            raise nc.SendQueueFull("full")
        self.asked.append(message)
        self.replies.append(nc.Reply())
        return self.replies[-1]

    def answer(self, message: nc.Message) -> None:
        self.replies[-1]._resolve(message)

    def refuse(self) -> None:
        self.replies[-1]._fail(nc.NoReply("asked too often"))


@pytest.fixture
def world() -> nc.World:
    return nc.World(GAME.entities)


# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Ship, Bullet, Rock, Crystal])
def test_a_question_names_one_entity(world: nc.World, kind: type[nc.Entity]) -> None:
    entity = world.spawn(kind)
    assert asked_about(question(entity)) is entity  # type: ignore[arg-type]


def test_a_question_about_what_has_gone_names_nothing() -> None:
    assert asked_about(Ask()) is None


def test_an_explanation_becomes_a_message() -> None:
    said = nc.Explanation(
        "deferred", "the budget went elsewhere", rank=7, urgency=12.5, waited=3, interval=4
    )
    answer = why(said)
    assert (answer.verdict, answer.reason) == ("deferred", "the budget went elsewhere")
    assert (answer.rank, answer.urgency, answer.waited, answer.interval) == (7, 12.5, 3, 4)
    assert bits_of(answer.bits) == []


def test_without_a_rank_the_message_says_none() -> None:
    answer = why(nc.Explanation("sent", "it has changed", bits={"y": 3, "x": 11}))
    assert (answer.rank, answer.urgency) == (0, 0.0)
    assert bits_of(answer.bits) == [("x", 11), ("y", 3)]


def test_long_lists_are_cut_between_names() -> None:
    bits = {f"a_field_with_a_long_name_{number}": 1000 - number for number in range(40)}
    told = bits_of(why(nc.Explanation("sent", "", bits=bits)).bits)
    assert 3 < len(told) < 40
    assert told == list(bits.items())[: len(told)]


def test_numbers_beyond_the_fields_range_are_limited() -> None:
    answer = why(nc.Explanation("deferred", "", rank=10**6, urgency=1e9, waited=10**6))
    assert (answer.rank, answer.waited) == (65_535, 65_535)
    assert answer.urgency == pytest.approx(65_535)


def test_the_five_dearest_fields_are_named() -> None:
    stats = nc.StateStats(
        sent=3,
        deferred=1,
        unchanged=40,
        culled=200,
        budget=12_000.4,
        held_back="packets are lost",
        bytes_by_field={
            "Ship": {"x": 50.0, "y": 60.0, "(entry)": 10.0, "ammo": 0.0},
            "Rock": {"x": 40.0, "y": 30.0, "vx": 20.0},
        },
    )
    told = figures(stats)
    assert [told.sent, told.deferred, told.unchanged, told.culled] == [3, 1, 40, 200]
    assert told.budget == pytest.approx(12_000, abs=1)
    assert told.held_back == "packets are lost"
    assert bits_of(told.top) == [
        ("Ship.y", 60),
        ("Ship.x", 50),
        ("Rock.x", 40),
        ("Rock.y", 30),
        ("Rock.vx", 20),
    ]
    assert bits_of(figures(nc.StateStats(bytes_by_field={"Ship": {"x": 0.0}})).top) == []


@pytest.mark.parametrize("text", ["", "x", "=3", "x=", "x=-1", "x=many", "=", "x=1.5"])
def test_lists_that_make_no_sense_are_empty(text: str) -> None:
    assert bits_of(text) == []


def test_an_allowance_renews_itself() -> None:
    allowance = Allowance(3, 60)
    assert [allowance.takes(tick) for tick in (0, 1, 2, 3, 59)] == [True] * 3 + [False] * 2
    assert [allowance.takes(tick) for tick in (60, 60, 61, 62)] == [True, False, True, True]


# -- asking --------------------------------------------------------------------------------------


def test_one_question_at_a_time() -> None:
    poll, server = Poll(0.25), Server()

    def ask(now: float) -> Figures | None:
        return poll.answer(server, AskFigures, Figures, now)

    for frame in range(120):
        assert ask(frame / 60) is None
    assert len(server.asked) == 1, "the first is not answered yet"
    server.answer(Figures(sent=5))
    answer = ask(2.0)
    assert answer is not None
    assert answer.sent == 5
    assert len(server.asked) == 2
    server.answer(Figures())
    assert ask(2.1) is not None
    assert len(server.asked) == 2, "not before its time"
    assert ask(2.3) is None
    assert len(server.asked) == 3


def test_a_refused_question_is_asked_again() -> None:
    poll, server = FiguresPoll(), Server()
    poll.ask(server, 0.0)
    server.answer(Figures(sent=1))
    poll.ask(server, 1.0)
    server.refuse()
    poll.ask(server, 2.0)
    assert poll.latest is not None
    assert poll.latest.sent == 1, "the last answer stays"
    assert len(server.asked) == 3
    server.full = True
    poll.ask(server, 3.0)


def test_an_answer_of_another_class_is_ignored() -> None:
    poll, server = Poll(1.0), Server()
    poll.answer(server, AskFigures, Figures, 0.0)
    server.answer(Why())
    assert poll.answer(server, AskFigures, Figures, 0.5) is None


def asking(inquiry: Inquiry, server: Server, entity: Ship | Rock) -> Callable[[str, str], None]:
    """A function that lets one question be asked and answered."""
    now = 0.0

    def round_trip(verdict: str, bits: str = "") -> None:
        nonlocal now
        inquiry.ask(server, entity, now)
        server.answer(Why(verdict=verdict, bits=bits))
        now += ASK_EVERY
        inquiry.ask(server, entity, now)

    return round_trip


def test_what_it_cost_is_kept_until_it_is_sent_again(world: nc.World) -> None:
    inquiry, server = Inquiry(), Server()
    told = asking(inquiry, server, world.spawn(Ship, name="Ada"))
    told("sent", "x=9")
    told("unchanged", "")
    assert inquiry.title == "Ada"
    assert inquiry.why is not None
    assert inquiry.why.verdict == "unchanged"
    assert inquiry.last_sent is not None
    assert inquiry.last_sent.bits == "x=9"
    assert list(inquiry.verdicts) == ["sent", "unchanged"]
    for _ in range(2 * VERDICTS):
        told("waiting", "")
    assert list(inquiry.verdicts) == ["waiting"] * VERDICTS


def test_another_entity_begins_anew(world: nc.World) -> None:
    inquiry, server = Inquiry(), Server()
    rock = world.spawn(Rock)
    asking(inquiry, server, world.spawn(Ship))("sent", "x=9")
    before = server.replies[-1]
    inquiry.ask(server, rock, 10.0)
    assert (inquiry.why, inquiry.last_sent, len(inquiry.verdicts)) == (None, None, 0)
    before._resolve(Why(verdict="sent"))
    inquiry.ask(server, rock, 10.1)
    assert inquiry.why is None, "that was the answer about the ship"
    assert asked_about(server.asked[-1]) is rock  # type: ignore[arg-type]


def test_nothing_is_asked_about_what_has_gone(world: nc.World) -> None:
    inquiry, server = Inquiry(), Server()
    rock = world.spawn(Rock)
    world.despawn(rock)
    inquiry.ask(server, rock, 0.0)
    inquiry.ask(server, None, 1.0)
    assert server.asked == []


# -- pointing ------------------------------------------------------------------------------------


def test_the_mouse_points_at_what_is_nearest(world: nc.World) -> None:
    ship = world.spawn(Ship, x=0, y=0)
    crystal = world.spawn(Crystal, x=100, y=0)
    rock = world.spawn(Rock, x=300, y=0, grade=3)
    assert pick(world, 40, 0, 60) is ship
    assert pick(world, 60, 0, 60) is crystal
    assert pick(world, 230, 0, 20) is rock, "a rock reaches out to its edge"
    assert pick(world, 0, 500, 60) is None


def test_a_shot_that_the_server_has_not_heard_of_is_not_pointed_at(world: nc.World) -> None:
    ahead = world.table(Bullet).place_ahead()
    assert pick(world, 0, 0, 50) is None
    world.table(Bullet).adopt(ahead, 3, 1)
    assert pick(world, 0, 0, 50) is ahead


def test_titles(world: nc.World) -> None:
    rocks = [world.spawn(Rock) for _ in range(3)]
    world.despawn(rocks[1])
    again = world.spawn(Rock)
    assert title_of(rocks[2]) == "Rock 2"
    assert title_of(again) == "Rock 1", "a new tenant of the same row"
    assert title_of(world.spawn(Ship)) == "unnamed ship"
