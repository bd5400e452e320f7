"""What F3, F4, F6 and F9 show, on a surface in memory, and what the keys do."""

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
pygame = pytest.importorskip("pygame", reason="needs pygame: pip install 'netcode[demo]'")

import netcode as nc  # noqa: E402  pygame's absence skips this file first
from demo_game import arena_screen, palette  # noqa: E402
from demo_game.arena_map import MapLayout, draw_legend, draw_map, draw_wait  # noqa: E402
from demo_game.arena_screen import ArenaScreen, Look  # noqa: E402
from demo_game.camera import FAR_HEIGHT, MAX_AHEAD, Camera  # noqa: E402
from demo_game.game import (  # noqa: E402
    ARENA,
    GAME,
    SLOWER,
    VIEW_LEAVE,
    VIEW_RADIUS,
    Blast,
    BlastKind,
    Bullet,
    Crystal,
    Figures,
    Rock,
    Ship,
    Steer,
    Why,
)
from demo_game.inquiry import Inquiry  # noqa: E402
from demo_game.questions import asked_about  # noqa: E402
from demo_game.sight import draw_sight  # noqa: E402
from demo_game.spectator import census  # noqa: E402
from demo_game.state_panel import draw_state, parts_of  # noqa: E402
from demo_game.voices import VoiceChoices  # noqa: E402
from demo_game.why_panel import colour_of, draw_why, figures_of  # noqa: E402
from tests.unit.demo_game.fake_voice import FakeChat  # noqa: E402

SIZES = [(1280, 720), (640, 400), (1600, 900), (500, 900)]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator["pygame.Surface"]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.font.init()
    yield pygame.display.set_mode((1280, 720))
    pygame.display.quit()
    pygame.font.quit()
    palette.forget_fonts()


def key(code: int) -> "pygame.event.Event":
    return pygame.event.Event(pygame.KEYDOWN, key=code, unicode="", mod=0)


def mouse(place: tuple[float, float]) -> "pygame.event.Event":
    pos = (round(place[0]), round(place[1]))
    return pygame.event.Event(pygame.MOUSEMOTION, pos=pos, rel=(0, 0), buttons=(0, 0, 0))


class FakeClient:
    """A client of an arena that stands still; keeps what it is asked."""

    def __init__(self, world: nc.World, player_id: int = 1) -> None:
        self.world, self.player_id, self.name = world, player_id, "Ada"
        self.stats = nc.NetworkStats()
        self.asked: list[nc.Message] = []
        self.replies: list[nc.Reply[nc.Message]] = []
        self.conditions: str | None = None
        self.prediction = self.interpolation = True
        self.reconnecting = False
        self.voice = FakeChat()
        self.authoritative = world
        self.tick = 0
        self.closed = False

    def on(self, kind: object) -> Callable[[Any], Any]:
        return lambda handler: handler

    on_enter = on_leave = on

    def on_reconnecting(self, handler: Callable[[], None]) -> None:
        pass

    on_resumed = on_reconnecting

    def own(self, kind: type[Ship]) -> Ship | None:
        return next((ship for ship in self.world[Ship] if ship.player == self.player_id), None)

    def update(self, *inputs: nc.Input) -> None:
        pass

    def request(self, message: nc.Message) -> nc.Reply[nc.Message]:
        self.asked.append(message)
        self.replies.append(nc.Reply())
        return self.replies[-1]

    def close(self) -> None:
        self.closed = True


class FakeSpectator:
    """A spectator whose link is there at once."""

    made: "list[FakeSpectator]"
    world: nc.World

    def __init__(self, url: str, name: str, watch: int) -> None:
        self.url, self.watch = url, watch
        self.client = FakeClient(type(self).world, player_id=9)
        self.ready, self.error, self.closed = True, "", False
        self.made.append(self)

    def update(self) -> None:
        pass

    def close(self, *, wait: bool) -> None:
        self.closed = True


def arena(rocks: int) -> nc.World:
    """Rocks along a line from the middle outwards, 100 apart; a ship at the middle."""
    world = nc.World(GAME.entities)
    world.spawn(Ship, player=1, name="Ada", x=0, y=0)
    for number in range(rocks):
        world.spawn(Rock, x=100 + number * 100, y=0, grade=1 + number % 3)
    return world


@pytest.fixture
def player(screen: "pygame.Surface", monkeypatch: pytest.MonkeyPatch) -> ArenaScreen:
    """A player who knows of five rocks of fifteen."""
    FakeSpectator.made, FakeSpectator.world = [], arena(15)
    monkeypatch.setattr(arena_screen, "Spectator", FakeSpectator)
    client: Any = FakeClient(arena(5))
    return ArenaScreen(client, "ws://here", 1280, 720, None, VoiceChoices())


def frames(player: ArenaScreen, screen: "pygame.Surface", start: float, count: int = 3) -> None:
    for frame in range(count):
        player.update(Steer(), start + frame / 60, 1 / 60)
        player.draw(screen)


# -- sight ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_from_afar_the_whole_radius_of_view_is_on_the_screen(width: int, height: int) -> None:
    camera = Camera()
    camera.far = True
    camera.resize(width, height)
    assert (VIEW_LEAVE + MAX_AHEAD) * camera.zoom < min(width, height) / 2
    assert FAR_HEIGHT < 2 * ARENA, "and not the whole arena"


def test_the_camera_finds_the_place_under_a_pixel() -> None:
    camera = Camera()
    for far in (False, True):
        camera.far = far
        camera.resize(1600, 900)
        camera.follow(321.0, -45.0, 100.0, 0.0, 1 / 60)
        x, y = camera.screen(700.0, -300.0)
        assert camera.arena((round(x), round(y))) == pytest.approx((700, -300), abs=2)


def test_what_lies_beyond_the_circles_is_darker(screen: "pygame.Surface") -> None:
    camera = Camera()
    camera.far = True
    camera.resize(1280, 720)
    screen.fill((200, 200, 200))
    draw_sight(screen, camera, 0.0, 0.0, 1.0)

    def light(distance: float) -> int:
        x, y = camera.screen(distance * 0.6, distance * 0.8)
        return sum(screen.get_at((round(x), round(y)))[:3])

    assert light(VIEW_RADIUS - 30) == 600
    assert light(VIEW_LEAVE - 30) == 600
    assert light(VIEW_LEAVE + 30) < 300
    edge = [light(VIEW_RADIUS + shift) for shift in range(-6, 7)]
    assert min(edge) < 580, "there is a line where things come into view"


def test_the_slower_rings_lie_within_the_view() -> None:
    assert all(0 < distance < VIEW_RADIUS for distance in SLOWER)


# -- the map -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_map_fits_the_window(width: int, height: int) -> None:
    layout = MapLayout.of(width, height, 1.0)
    assert layout.box.width == layout.box.height
    assert pygame.Rect(0, 0, width, height).contains(layout.box)
    for corner in ((-ARENA, -ARENA), (ARENA, ARENA), (0, 0)):
        x, y = layout.screen(*corner)
        assert layout.arena((round(x), round(y))) == pytest.approx(corner, abs=1 / layout.zoom)


def test_what_the_player_knows_is_in_colour_and_the_rest_grey(screen: "pygame.Surface") -> None:
    everything, own = nc.World(GAME.entities), nc.World(GAME.entities)
    layout = MapLayout.of(1280, 720, 1.0)
    for world in (everything, own):
        world.spawn(Crystal, x=-1200, y=900, worth=3)
    everything.spawn(Crystal, x=1200, y=900, worth=3)
    draw_map(screen, layout, everything, own, None, (0.0, 0.0), 1.0)

    def hue(x: float, y: float) -> int:
        place = layout.screen(x, y)
        red, green, blue = screen.get_at((round(place[0]), round(place[1])))[:3]
        return max(red, green, blue) - min(red, green, blue)

    assert hue(-1200, 900) > 80
    assert 0 < hue(1200, 900) < 40
    assert census(everything, own)[-1] == ("crystals", 1, 2)


def test_a_new_tenant_of_a_row_is_not_taken_for_the_old_one() -> None:
    everything, own = nc.World(GAME.entities), nc.World(GAME.entities)
    for world in (everything, own):
        world.spawn(Rock)
    everything.despawn(next(iter(everything[Rock])))
    everything.spawn(Rock)
    assert census(everything, own)[2] == ("rocks", 0, 1)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_map_and_panels_can_be_drawn_in_any_window(
    screen: "pygame.Surface", width: int, height: int
) -> None:
    surface = pygame.Surface((width, height))
    everything, layout = arena(15), MapLayout.of(width, height, 1.0)
    own = next(iter(everything[Ship]))
    draw_wait(surface, layout, "", 1.0)
    draw_wait(surface, layout, "nobody answers there " * 5, 1.0)
    draw_map(surface, layout, everything, arena(2), own, (0.0, 0.0), 1.0)
    draw_map(surface, layout, everything, nc.World(GAME.entities), None, (0.0, 0.0), 1.0)
    draw_legend(surface, census(everything, arena(2)), 2_000, 20_000, 1.0)
    beside = pygame.Rect(width - 250, 180, 240, 280)
    draw_state(surface, 1.0, None, beside)
    draw_state(surface, 1.0, Figures(sent=1, top="Ship.x=5 Rock.y=3"), beside)
    inquiry = Inquiry()
    draw_why(surface, inquiry, None, 200, 1.0)
    inquiry.why = inquiry.last_sent = Why(verdict="sent", bits="x=9 y=0")
    inquiry.verdicts.extend(["sent", "culled", "unheard of"] * 9)
    draw_why(surface, inquiry, 1234.5, 200, 1.0)


# -- panels --------------------------------------------------------------------------------------


def test_the_panel_says_what_matters_for_the_verdict() -> None:
    told = dict(figures_of(Why(verdict="deferred", rank=12, urgency=6.4, waited=3, interval=4), 50))
    assert told["rank"] == "12, by urgency 6.4"
    assert told["waited"] == "3 broadcasts"
    assert told["told at"] == "every 4th broadcast"
    assert dict(figures_of(Why(verdict="sent", interval=1), None)) == {
        "told at": "every broadcast",
        "waited": "–",
        "rank": "none: everything fitted",
    }
    assert figures_of(Why(verdict="culled"), 1500.4) == [("distance", "1,500")]
    assert figures_of(Why(), None) == []


def test_every_verdict_has_a_colour_of_its_own() -> None:
    verdicts = ("sent", "deferred", "culled", "unchanged", "waiting", "gone")
    assert len({colour_of(verdict) for verdict in verdicts}) == len(verdicts)


def test_the_bar_shows_every_entity() -> None:
    parts = parts_of(Figures(sent=3, deferred=1, unchanged=40, culled=200))
    assert [(name, count) for name, count, _ in parts] == [
        ("sent", 3),
        ("deferred", 1),
        ("unchanged", 40),
        ("culled", 200),
    ]


# -- keys ----------------------------------------------------------------------------------------


def test_f4_leads_from_the_game_to_the_circles_to_the_map_and_back(
    player: ArenaScreen, screen: "pygame.Surface"
) -> None:
    near = player.view.camera.zoom
    seen = []
    for press in range(3):
        player.handle(key(pygame.K_F4))
        frames(player, screen, press)
        seen.append((player.look, player.view.camera.zoom < near, len(FakeSpectator.made)))
    assert seen == [(Look.SIGHT, True, 0), (Look.MAP, False, 1), (Look.PLAY, False, 1)]
    (spectator,) = FakeSpectator.made
    assert (spectator.url, spectator.watch, spectator.closed) == ("ws://here", 1, True)
    assert player.spectator is None


def test_escape_closes_the_map_before_it_leaves(player: ArenaScreen) -> None:
    player.look_at(Look.MAP)
    assert player.handle(key(pygame.K_ESCAPE))
    assert player.look is Look.PLAY
    assert FakeSpectator.made[0].closed
    assert not player.handle(key(pygame.K_ESCAPE))


def test_leaving_with_the_map_open_closes_both_links(player: ArenaScreen) -> None:
    player.look_at(Look.MAP)
    player.close()
    assert FakeSpectator.made[0].closed
    client: Any = player.client
    assert client.closed


def test_without_f3_and_f6_nothing_is_asked(player: ArenaScreen, screen: "pygame.Surface") -> None:
    frames(player, screen, 0.0, 20)
    client: Any = player.client
    assert client.asked == []


def test_f6_asks_about_the_own_ship_and_then_about_what_is_pointed_at(
    player: ArenaScreen, screen: "pygame.Surface"
) -> None:
    client: Any = player.client
    player.handle(key(pygame.K_F6))
    frames(player, screen, 0.0)
    assert asked_about(client.asked[-1]) is client.own(Ship)
    rock = list(client.world[Rock])[3]
    player.handle(mouse(player.view.camera.screen(rock.x, rock.y)))
    frames(player, screen, 1.0)
    assert asked_about(client.asked[-1]) is rock
    player.handle(mouse((5, 5)))
    frames(player, screen, 2.0)
    assert player.inquiry.entity is rock, "until something else is pointed at"
    client.world.despawn(rock)
    frames(player, screen, 3.0)
    assert asked_about(client.asked[-1]) is client.own(Ship)


def test_on_the_map_the_spectators_link_is_asked(
    player: ArenaScreen, screen: "pygame.Surface"
) -> None:
    player.handle(key(pygame.K_F6))
    player.look_at(Look.MAP)
    frames(player, screen, 0.0)
    spectator = FakeSpectator.made[0]
    hidden = list(spectator.client.world[Rock])[12]
    player.handle(mouse(player.layout.screen(hidden.x, hidden.y)))
    frames(player, screen, 1.0)
    assert asked_about(spectator.client.asked[-1]) is hidden
    spectator.client.replies[-1]._resolve(Why(verdict="culled", reason="kept out of view"))
    frames(player, screen, 2.0)
    assert player.inquiry.why is not None
    assert player.inquiry.why.verdict == "culled"


def test_a_map_without_a_link_says_so(player: ArenaScreen, screen: "pygame.Surface") -> None:
    player.handle(key(pygame.K_F6))
    player.look_at(Look.MAP)
    spectator: Any = SimpleNamespace(
        ready=False, error="the game is full", update=lambda: None, close=lambda wait: None
    )
    player.spectator = spectator
    frames(player, screen, 0.0)
    assert player.inquiry.entity is None


def test_f3_asks_for_the_figures_once_a_second(
    player: ArenaScreen, screen: "pygame.Surface"
) -> None:
    client: Any = player.client
    player.handle(key(pygame.K_F3))
    for second in range(3):
        frames(player, screen, second, 50)
        assert len(client.asked) == second + 1
        client.replies[-1]._resolve(Figures(sent=second))


# -- feel ----------------------------------------------------------------------------------------


def texts(player: ArenaScreen) -> list[str]:
    return [badge.text for badge in player.badges()]


@pytest.mark.parametrize(
    ("code", "what", "badge"),
    [
        (pygame.K_F7, "prediction", "prediction off"),
        (pygame.K_F8, "interpolation", "interpolation off"),
    ],
)
def test_f7_and_f8_turn_a_part_off_and_on_and_nobody_forgets_it(
    player: ArenaScreen, screen: "pygame.Surface", code: int, what: str, badge: str
) -> None:
    client: Any = player.client
    assert texts(player) == []
    player.handle(key(code))
    frames(player, screen, 0.0)
    assert not getattr(client, what)
    assert texts(player) == [badge]
    assert player.chat.lines[-1].text.startswith(badge)
    player.handle(key(code))
    assert getattr(client, what)
    assert texts(player) == []
    assert player.chat.lines[-1].text.startswith(f"{what} on")


def test_f9_shows_what_the_server_has_said_last_as_outlines(
    player: ArenaScreen, screen: "pygame.Surface"
) -> None:
    client: Any = player.client
    client.authoritative = arena(0)
    ghost = next(iter(client.authoritative[Ship]))
    ghost.x, ghost.y = 150.0, -100.0
    frames(player, screen, 0.0)

    def light(x: float, y: float) -> int:
        at = player.view.camera.screen(x, y)
        near = [(round(at[0]) + dx, round(at[1]) + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        return max(sum(screen.get_at(place)[:3]) for place in near)

    nose, between = (170.0, -100.0), (75.0, -50.0)
    dark = [light(*nose), light(*between)]
    player.handle(key(pygame.K_F9))
    frames(player, screen, 0.0)
    assert texts(player) == ["ghosts"]
    assert light(*nose) > dark[0] + 150
    assert light(*between) > dark[1] + 80, "a line leads from the one to the other"
    player.handle(key(pygame.K_F9))
    frames(player, screen, 0.0)
    assert light(*nose) < dark[0] + 30
    assert texts(player) == []


def test_bad_weather_has_a_badge_too(player: ArenaScreen) -> None:
    player.set_weather("terrible")
    player.handle(key(pygame.K_F9))
    assert texts(player) == ["weather: terrible", "ghosts"]


def test_the_servers_spark_for_a_hit_that_was_shown_is_not_shown_again(
    player: ArenaScreen, screen: "pygame.Surface"
) -> None:
    client: Any = player.client
    client.world.table(Bullet).me = 1
    rock = next(iter(client.world[Rock]))
    shot = client.world.spawn(Bullet, x=rock.x, y=rock.y, player=1)
    client.world.table(Bullet).own(shot._row, 1)
    player.update(Steer(), 0.0, 1 / 60)
    lights = len(player.view.effects)
    assert lights > 0
    told = Blast(kind=BlastKind.SPARK, x=rock.x + 12, y=rock.y)
    player._blast(told)
    assert len(player.view.effects) == lights
    player._blast(told)
    assert len(player.view.effects) > lights, "another hit at the same place"
