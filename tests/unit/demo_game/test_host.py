"""The demo's server with guests on loopback lines: who is told what, and who may ask what."""

import contextlib
import math
from types import SimpleNamespace
from typing import Any

import pytest

import netcode as nc
from demo_game import host as demo
from demo_game.game import (
    BULLET_SPEED,
    MUZZLE,
    VIEW_LEAVE,
    VIEW_RADIUS,
    AskFigures,
    Bullet,
    Chat,
    Crystal,
    Enter,
    Figures,
    Pilot,
    Rock,
    Round,
    Ship,
    Steer,
    Why,
)
from demo_game.questions import question
from demo_game.shots import OwnShots
from demo_game.simulation import SHOT_DAMAGE
from demo_game.spectator import census, knows
from netcode.testing import SteppedClient, Stepper
from tests.scenarios.test_who_hears_whom import packet


class SteppedServer(nc.ServerSide):
    """In the place of a `netcode.Server`: the server of a stepped game."""

    def __init__(self, protocol: nc.Protocol, **options: Any) -> None:
        self.game = Stepper(protocol, **options)
        super().__init__(self.game.host)
        assert self.game.host.voice is not None
        self.voice = SimpleNamespace(stats=self.game.host.voice.forwarding.stats)


class Arena:
    """The demo's host, and guests who have said what they come for."""

    def __init__(self, **things: int) -> None:
        self.host = demo.Host(seed=5, **things)
        self.game: Stepper = self.host.server.game  # type: ignore[attr-defined]
        self.world = self.host.server.world

    def join(self, name: str, watch: int = 0, weather: str = "clean") -> SteppedClient:
        guest = self.game.join(name, weather)
        self.game.run_until(lambda: guest.joined, within=5)
        guest.send(Enter(watch=watch))
        self.game.run(1.5)
        return guest

    def ship_of(self, guest: SteppedClient) -> Ship:
        ship = self.host.rules.seats[guest.player_id].ship
        assert ship is not None
        return ship

    def ask(self, guest: SteppedClient, message: nc.Message) -> nc.Message:
        reply = guest.request(message)
        self.game.run_until(reply.done, within=5)
        return reply.result(0)


@pytest.fixture
def arena(monkeypatch: pytest.MonkeyPatch) -> Arena:
    monkeypatch.setattr(nc, "Server", SteppedServer)
    return Arena()


def test_who_has_not_said_what_for_gets_no_ship(arena: Arena) -> None:
    guest = arena.game.join("silent")
    arena.game.run(1.5)
    assert guest.joined
    assert arena.host.status()["players"] == 0
    assert len(guest.world[Ship]) == 0
    assert len(guest.world[Round]) == 1


def test_a_pilot_is_told_what_is_near_and_nothing_else(arena: Arena) -> None:
    ada = arena.join("Ada")
    ship = arena.ship_of(ada)
    told = {rock.handle for rock in ada.world[Rock]}
    assert told
    for rock in arena.world[Rock]:
        away = math.hypot(rock.x - ship.x, rock.y - ship.y)
        if away < VIEW_RADIUS - 50:
            assert rock.handle in told
        elif away > VIEW_LEAVE + 50:
            assert rock.handle not in told
    assert len(told) < len(arena.world[Rock]) / 2


def test_score_board_and_clock_are_told_to_everybody(arena: Arena) -> None:
    ada, bob = arena.join("Ada"), arena.join("Bob")
    arena.ship_of(ada).x = arena.ship_of(ada).y = -1900
    arena.ship_of(bob).x = arena.ship_of(bob).y = 1900
    arena.game.run(1.0)
    for guest in (ada, bob):
        assert {pilot.name for pilot in guest.world[Pilot]} == {"Ada", "Bob"}
        assert [ship.name for ship in guest.world[Ship]] == [guest.name]
        assert len(guest.world[Round]) == 1


def test_a_spectator_is_told_everything(arena: Arena) -> None:
    ada, bob = arena.join("Ada"), arena.join("Bob")
    spectator = arena.join("Eve", watch=ada.player_id)
    for kind in (Ship, Rock, Crystal, Pilot):
        there = {entity.handle for entity in arena.world[kind]}
        assert {entity.handle for entity in spectator.world[kind]} == there
    status = arena.host.status()
    assert (status["players"], status["spectators"]) == (2, 1)
    assert spectator.own(Ship) is None
    counts = {name: (known, there) for name, known, there in census(spectator.world, ada.world)}
    assert counts["rocks"] == (len(ada.world[Rock]), len(arena.world[Rock]))
    assert counts["crystals"][0] < counts["crystals"][1]
    assert len(bob.world[Rock]) < len(arena.world[Rock]), "it is not told to the others"


def test_ammunition_is_told_to_the_owner_alone(arena: Arena) -> None:
    ada = arena.join("Ada")
    spectator = arena.join("Eve", watch=ada.player_id)
    before = arena.ship_of(ada).ammo
    arena.game.run(1.0, lambda guest: [Steer(fire=True)] if guest is ada else [])
    arena.game.run(0.3)
    left = arena.ship_of(ada).ammo
    assert left < before
    own = ada.own(Ship)
    assert own is not None
    assert own.ammo == pytest.approx(left, abs=1), "one may have grown back ahead of the server"
    assert [ship.ammo for ship in spectator.world[Ship]] == [30], "the default: it was never told"


def test_a_pilot_may_ask_about_what_it_sees(arena: Arena) -> None:
    ada = arena.join("Ada")
    own = ada.own(Ship)
    assert own is not None
    answer = arena.ask(ada, question(own))
    assert isinstance(answer, Why)
    assert answer.verdict in ("sent", "waiting", "unchanged")
    crystal = next(iter(ada.world[Crystal]))
    answer = arena.ask(ada, question(crystal))
    assert isinstance(answer, Why)
    assert answer.verdict == "unchanged"


def test_a_spectator_asks_about_the_view_of_whom_it_watches(arena: Arena) -> None:
    ada = arena.join("Ada")
    spectator = arena.join("Eve", watch=ada.player_id)
    hidden = next(c for c in spectator.world[Crystal] if not knows(ada.world, c))
    shown = next(c for c in spectator.world[Crystal] if knows(ada.world, c))
    answer = arena.ask(spectator, question(hidden))
    assert isinstance(answer, Why)
    assert answer.verdict == "culled"
    assert "Radius(900, 980" in answer.reason
    answer = arena.ask(spectator, question(shown))
    assert isinstance(answer, Why)
    assert answer.verdict == "unchanged"


def test_who_watches_nobody_in_the_game_learns_nothing(arena: Arena) -> None:
    spectator = arena.join("Eve", watch=99)
    rock = next(iter(spectator.world[Rock]))
    assert arena.ask(spectator, question(rock)) == Why()
    with pytest.raises(nc.NoReply):
        arena.ask(spectator, AskFigures())


def test_the_figures_account_for_every_entity(arena: Arena) -> None:
    ada = arena.join("Ada")
    told = arena.ask(ada, AskFigures())
    assert isinstance(told, Figures)
    everything = told.sent + told.deferred + told.unchanged + told.culled
    assert everything == pytest.approx(len(arena.world), abs=3)
    assert told.culled > told.unchanged
    assert told.budget >= 3_000
    assert "Rock." in told.top


def test_questions_are_limited(arena: Arena) -> None:
    ada = arena.join("Ada")
    replies = [ada.request(AskFigures()) for _ in range(30)]
    arena.game.run_until(lambda: all(reply.done() for reply in replies), within=5)
    answered = 0
    for reply in replies:
        with contextlib.suppress(nc.NoReply):
            answered += isinstance(reply.result(0), Figures)
    assert answered == demo.QUESTIONS
    arena.game.run(1.1)
    assert isinstance(arena.ask(ada, AskFigures()), Figures)


def test_there_is_room_for_so_many_spectators(arena: Arena) -> None:
    watching = [arena.join("Eve", watch=1) for _ in range(demo.MAX_SPECTATORS)]
    late = arena.join("late", watch=1)
    assert late.over
    assert not any(guest.over for guest in watching)
    watching[0].send(Enter(watch=2))  # who watches already may watch somebody else
    arena.game.run(0.5)
    assert not watching[0].over


def test_a_pilot_does_not_become_a_spectator(arena: Arena) -> None:
    ada = arena.join("Ada")
    ada.send(Enter(watch=ada.player_id))
    arena.game.run(1.0)
    assert len(ada.world[Rock]) < len(arena.world[Rock]) / 2
    ada.send(Enter())
    arena.game.run(0.5)
    assert arena.host.status()["ships"] == 1


def test_a_spectator_may_fly_later(arena: Arena) -> None:
    eve = arena.join("Eve", watch=1)
    eve.send(Enter())
    arena.game.run(1.5)
    assert eve.own(Ship) is not None
    assert len(eve.world[Rock]) < len(arena.world[Rock]) / 2


def test_only_pilots_chat_and_not_too_much(arena: Arena) -> None:
    ada = arena.join("Ada")
    spectator = arena.join("Eve", watch=ada.player_id)
    heard: list[Chat] = []
    ada.on(Chat)(heard.append)
    spectator.send(Chat(text="boo"))
    for number in range(demo.CHAT_LINES + 1):
        ada.send(Chat(text=f"line {number}"))
    arena.game.run(0.5)
    assert [line.text for line in heard if line.who] == [f"line {n}" for n in range(5)]
    assert heard[-1].text.startswith("slow down")


def test_a_wrecked_pilot_goes_on_seeing_the_place(arena: Arena) -> None:
    ada = arena.join("Ada")
    ship = arena.ship_of(ada)
    ship.shielded, ship.hull = False, 0
    arena.game.run(0.5)
    assert ada.own(Ship) is None
    assert 0 < len(ada.world[Crystal]) < len(arena.world[Crystal])


# -- shots over a line ---------------------------------------------------------------------------

FRAME = 1 / 60


@pytest.fixture
def duel(monkeypatch: pytest.MonkeyPatch) -> Arena:
    """An arena without rocks."""
    monkeypatch.setattr(nc, "Server", SteppedServer)
    return Arena(rocks=0, crystals=0)


def put(ship: Ship, x: float, y: float, **values: float) -> None:
    ship.x, ship.y, ship.shielded = x, y, False
    ship.vx = ship.vy = ship.heading = 0.0
    for name, value in values.items():
        setattr(ship, name, value)


@pytest.mark.parametrize("weather", ["lan", "4g", "terrible"])
def test_a_shot_is_there_in_the_frame_of_the_key_press_and_becomes_the_servers(
    duel: Arena, weather: str
) -> None:
    ada = duel.join("Ada", weather=weather)
    put(duel.ship_of(ada), 0, 0)
    duel.game.run(1.5)
    came: list[Bullet] = []
    went: list[Bullet] = []
    ada.on_enter(Bullet)(came.append)
    ada.on_leave(Bullet)(went.append)
    duel.game.run(2 * FRAME, lambda guest: [Steer(fire=not came)])
    (shot,) = ada.world[Bullet]
    assert shot.mine
    assert shot.handle == -1
    assert len(duel.world[Bullet]) == 0, "the server has not heard of it"
    duel.game.run_until(lambda: shot.handle >= 0, within=1.5)
    (truth,) = duel.world[Bullet]
    assert shot.alive
    assert shot.mine
    assert shot.handle == truth.handle
    assert duel.game.player_of(ada).entities[-1] is truth
    duel.game.run(2.5)
    assert came == went == [shot], "once, and the display does not show it again"


def fire_at_what_is_seen(duel: Arena, weather: str, wait: float) -> tuple[int, int]:
    """Bob flies across in front of Ada, who fires once, with the lead that his picture on her
    screen needs. How many shots ended on him on her screen, and how many the server counted."""
    ada, bob = duel.join("Ada", weather=weather), duel.join("Bob", weather="wifi")
    target, shots = duel.ship_of(bob), OwnShots()
    put(duel.ship_of(ada), 0, 0, heading=math.pi / 2)
    put(target, -500.0, 110.0)
    duel.game.run(2.0 + wait)
    target.vx = 340.0
    struck = fired = 0
    for _ in range(150):
        picture = next(ship for ship in ada.world[Ship] if ship.name == "Bob")
        flight = (picture.y - MUZZLE) / BULLET_SPEED
        now = not fired and picture.x + picture.vx * flight > 0
        duel.game.run(FRAME, lambda guest, now=now: [Steer(fire=now and guest is ada)])
        sight = shots.update(ada.world, ada.tick)
        fired, struck = fired + len(sight.fired), struck + len(sight.struck)
    assert fired == 1
    duel.game.run(1.0)
    return struck, (100 - target.hull) // SHOT_DAMAGE


@pytest.mark.parametrize("wait", [0.0, 0.11, 0.23, 0.37])
@pytest.mark.parametrize("weather", ["lan", "4g", "loss5"])
def test_what_a_shooter_in_bad_weather_hits_on_its_screen_is_hit(
    duel: Arena, weather: str, wait: float
) -> None:
    assert fire_at_what_is_seen(duel, weather, wait) == (1, 1)


def test_in_the_present_the_same_shot_misses(duel: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        duel.host, "_seen_by", lambda player: contextlib.nullcontext(duel.host.server.world)
    )
    assert fire_at_what_is_seen(duel, "4g", 0.0) == (1, 0)


def test_nobody_hits_further_back_than_the_server_looks(duel: Arena) -> None:
    """Such a line shows everything 0.7 s late; those who are hit are protected from that."""
    assert fire_at_what_is_seen(duel, "terrible", 0.0) == (1, 0)


# -- voice -------------------------------------------------------------------------------------


def test_pilots_hear_who_is_near_and_spectators_say_nothing(duel: Arena) -> None:
    ada, bob = duel.join("Ada"), duel.join("Bob")
    eve = duel.join("Eve", watch=ada.player_id)
    heard: list[bytes] = []
    ada.guest.voice.listen(heard.append)
    mine, other = duel.ship_of(ada), duel.ship_of(bob)

    def says(speaker: SteppedClient, apart: float) -> bool:
        mine.x, mine.y, other.x, other.y = -1500.0, 0.0, apart - 1500.0, 0.0
        duel.game.run(0.5)
        heard.clear()
        for number in range(20):
            speaker.guest.voice.send(packet(speaker.player_id, number))
            duel.game.run(0.02)
        duel.game.run(0.2)
        return len(heard) > 0

    assert says(bob, demo.VOICE_SILENT - 100)
    assert not says(bob, demo.VOICE_SILENT * 1.1)
    assert not says(eve, 0.0)
    assert duel.host.status()["voice_packets_in"] == 60
