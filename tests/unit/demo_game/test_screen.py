"""What is drawn, on a surface in memory: that it can be drawn, and what can be counted in it."""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
pygame = pytest.importorskip("pygame", reason="needs pygame: pip install 'netcode[demo]'")

import netcode as nc  # noqa: E402  pygame's absence skips this file first
from demo_game import game, palette  # noqa: E402
from demo_game.camera import MAX_AHEAD, VIEW_HEIGHT, VIEW_WIDTH, Camera  # noqa: E402
from demo_game.chatbox import MAX_BYTES, ChatBox  # noqa: E402
from demo_game.game import (  # noqa: E402  # noqa: E402
    GAME,
    VIEW_RADIUS,
    Blast,
    BlastKind,
    Chat,
    Downed,
    Pilot,
    Rock,
    RoundOver,
    Ship,
)
from demo_game.ghosts import draw_ghosts  # noqa: E402
from demo_game.graphs import FIGURES, KEPT, NetworkHistory, draw_network  # noqa: E402
from demo_game.help import draw_help, draw_hint  # noqa: E402
from demo_game.hud import Badge, Hud, standings  # noqa: E402
from demo_game.menu import Menu  # noqa: E402
from demo_game.simulation import Rules  # noqa: E402
from demo_game.view import View  # noqa: E402

SIZES = [(1280, 720), (640, 400), (1600, 900)]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator["pygame.Surface"]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.font.init()
    yield pygame.display.set_mode((1280, 720))
    pygame.display.quit()
    pygame.font.quit()
    palette.forget_fonts()


@pytest.fixture
def world() -> nc.World:
    world = nc.World(GAME.entities)
    rules = Rules(world, seed=3)
    for player in range(1, 6):
        rules.join(player, f"pilot {player}", 0, random.Random(player))
    return world


def key(code: int, letter: str = "") -> "pygame.event.Event":
    return pygame.event.Event(pygame.KEYDOWN, key=code, unicode=letter, mod=0)


def colours_in(screen: "pygame.Surface", box: "pygame.Rect") -> int:
    area = screen.subsurface(box.clip(screen.get_rect()))
    return len(
        {
            tuple(area.get_at((x, y)))
            for x in range(0, area.get_width(), 2)
            for y in range(0, area.get_height(), 2)
        }
    )


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_frame_with_everything_on_it(
    screen: "pygame.Surface", world: nc.World, width: int, height: int
) -> None:
    surface = pygame.Surface((width, height))
    view, hud, chat, history = View(width, height), Hud(), ChatBox(), NetworkHistory()
    hud.resize(width, height)
    own = next(iter(world[Ship]))
    own.thrusting = True
    for kind in BlastKind:
        view.effects.blast(Blast(kind=kind, x=own.x, y=own.y, grade=1), view.camera)
    view.effects.note(own.x, own.y, "+10", palette.WHITE)
    hud.downed(Downed(victim="a", by="b"), 0.5)
    hud.downed(Downed(victim="a"), 0.5)
    hud.round_over(RoundOver(winner="a", score=5), 0.5)
    chat.said(Chat(text="hello", who="a"), 0.5)
    chat.typing = "typing"
    for quarter in range(KEPT + 10):
        history.take(quarter / 4, nc.NetworkStats(rtt=0.05, bytes_in=2000, broadcast_hz=20))
    for _ in range(10):
        view.update(world, own, 1 / 60)
    view.draw(surface, world, own, 1.0)
    ship_box = pygame.Rect(0, 0, 40, 40)
    ship_box.center = tuple(round(v) for v in view.camera.screen(own.x, own.y))
    assert colours_in(surface, ship_box) > 30, "there is a ship in the middle"
    badges = [Badge(text, palette.AMBER) for text in ("weather: loss5", "ghosts", "and more")]
    hud.draw(surface, world, own.player, own, view.camera, 1.0, badges)
    hud.draw(surface, world, own.player, None, view.camera, 1.0)
    draw_ghosts(surface, view.camera, world, world, hud.scale)
    chat.draw(surface, hud.scale, 1.0)
    draw_hint(surface, hud.scale)
    draw_help(surface, hud.scale)
    draw_network(surface, hud.scale, history, "webrtc · direct", "loss5")


def test_a_wrecked_player_sees_the_place_and_the_countdown(
    screen: "pygame.Surface", world: nc.World
) -> None:
    view, hud = View(1280, 720), Hud()
    own = next(iter(world[Ship]))
    view.update(world, own, 1 / 60)
    before = (view.camera.x, view.camera.y)
    world.despawn(own)
    view.update(world, None, 1 / 60)
    assert view.camera.x == pytest.approx(before[0], abs=60)
    view.draw(screen, world, None, 1.0)
    picture = screen.copy()
    hud.respawn_at = 3.0
    hud.draw(picture, world, 1, None, view.camera, 1.0)
    box = pygame.Rect(480, 250, 320, 90)
    assert colours_in(picture, box) > colours_in(screen, box)


@pytest.mark.parametrize(("width", "height"), [*SIZES, (400, 1400), (3000, 500)])
def test_no_window_shows_more_than_the_server_sends(width: int, height: int) -> None:
    camera = Camera()
    camera.resize(width, height)
    assert width / camera.zoom <= VIEW_WIDTH + 1
    assert height / camera.zoom <= VIEW_HEIGHT + 1
    assert (VIEW_WIDTH**2 + VIEW_HEIGHT**2) ** 0.5 / 2 + MAX_AHEAD < VIEW_RADIUS


def test_the_camera_puts_the_ship_where_screen_says() -> None:
    camera = Camera()
    camera.follow(100.0, -50.0, 0.0, 0.0, 1 / 60)
    assert camera.screen(100.0, -50.0) == (640.0, 360.0)
    assert camera.sees(100.0, -50.0, 0)
    assert not camera.sees(900.0, -50.0, 10)


def test_the_score_board_shows_the_best_and_always_oneself(world: nc.World) -> None:
    for pilot in world[Pilot]:
        pilot.score = 100 * pilot.player
    lines = standings(world, me=1, lines=3)
    assert [(line.place, line.pilot.player) for line in lines] == [(1, 5), (2, 4), (5, 1)]
    assert [line.place for line in standings(world, me=1, lines=9)] == [1, 2, 3, 4, 5]


def test_graphs_sample_four_times_a_second_and_forget() -> None:
    history = NetworkHistory()
    for frame in range(60 * 60):
        history.take(frame / 60, nc.NetworkStats(rtt=frame / 60 / 1000))
    assert all(len(series) == KEPT for series in history.series)
    assert history.series[0][-1] == pytest.approx(60, abs=0.3)
    assert history.median(0) == pytest.approx(45, abs=0.5)


def test_chat_takes_what_a_message_can_carry(screen: "pygame.Surface") -> None:
    chat = ChatBox()
    assert chat.key(key(pygame.K_a, "a")) is None
    chat.typing = ""
    for _ in range(300):
        chat.key(key(pygame.K_a, "ü"))
    assert len((chat.typing or "").encode()) == MAX_BYTES
    assert chat.key(key(pygame.K_BACKSPACE)) is None
    line = chat.key(key(pygame.K_RETURN, "\r"))
    assert line == "ü" * (MAX_BYTES // 2 - 1)
    assert Chat(text=line).text == line
    assert chat.typing is None
    chat.typing = "never mind"
    chat.key(key(pygame.K_ESCAPE))
    assert chat.typing is None


def test_effects_end_and_are_bounded(screen: "pygame.Surface") -> None:
    view = View(640, 400)
    for _ in range(200):
        view.effects.blast(Blast(kind=BlastKind.SHIP, x=0, y=0), view.camera)
    assert len(view.effects) < 2_000
    for _ in range(300):
        view.effects.update(1 / 60)
    assert len(view.effects) == 0


def test_the_menu_can_be_used_with_keys_alone(screen: "pygame.Surface") -> None:
    pressed: list[str] = []
    menu = Menu(
        "",
        "ws://x",
        alone=lambda: pressed.append("alone"),
        host=lambda: pressed.append("host"),
        join=lambda: pressed.append("join"),
        settings=lambda: pressed.append("settings"),
        host_note="",
    )
    for letter in "Ada":
        menu.handle(key(ord(letter.lower()), letter))
    assert menu.name == "Ada"
    for _ in range(7):
        menu.handle(key(pygame.K_RETURN, "\r"))
        menu.handle(key(pygame.K_TAB, "\t"))
    assert pressed == ["alone", "alone", "settings", "join", "host", "join"]
    assert menu.hum, "between the buttons there is a switch"
    menu.handle(key(pygame.K_F2))
    assert pressed[-1] == "settings"
    menu.error = "nobody answers at ws://x " * 20
    menu.draw(screen, 0.0)


def test_the_menu_can_be_used_with_the_mouse(screen: "pygame.Surface") -> None:
    pressed: list[str] = []
    menu = Menu(
        "Ada",
        "",
        alone=lambda: pressed.append("alone"),
        host=pressed.clear,
        join=pressed.clear,
        settings=pressed.clear,
        host_note="",
    )
    menu.draw(screen, 0.0)
    click = pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=menu._alone.box.center)
    menu.handle(click)
    assert pressed == ["alone"]


# -- shots and fades ---------------------------------------------------------------------------


@pytest.fixture
def empty() -> nc.World:
    """Somebody at the middle of an empty arena, player 1 on a client of its own."""
    world = nc.World(GAME.entities)
    world.table(game.Bullet).me = 1
    world.spawn(Ship, player=1, name="Ada")
    return world


def shoot(world: nc.World, x: float, y: float, player: int = 1) -> game.Bullet:
    bullet = world.spawn(game.Bullet, x=x, y=y, vx=500, player=player, colour=2)
    world.table(game.Bullet).own(bullet._row, player)
    return bullet


def light(screen: "pygame.Surface", view: View, x: float, y: float) -> int:
    place = view.camera.screen(x, y)
    return sum(screen.get_at((round(place[0]), round(place[1])))[:3])


def test_all_shots_are_drawn_but_own_ones_that_have_touched_something(
    screen: "pygame.Surface", empty: nc.World
) -> None:
    own = next(iter(empty[Ship]))
    view = View(1280, 720)
    view.update(empty, own, 1 / 60, tick=1)
    view.draw(screen, empty, own, 1.0)
    dark = light(screen, view, 100, 100)
    mine, other = shoot(empty, 100, 100), shoot(empty, 200, 100, player=2)
    view.update(empty, own, 1 / 60, tick=2)
    for _ in range(60):
        view.effects.update(1 / 60)  # the muzzle's flash is over
    view.draw(screen, empty, own, 1.0)
    assert light(screen, view, 100, 100) > dark + 200
    assert light(screen, view, 200, 100) > dark + 200
    empty.spawn(Rock, x=160, y=160, grade=3)
    mine.x, mine.y = other.x, other.y = 150.0, 130.0
    view.update(empty, own, 1 / 60, tick=3)
    assert len(view.effects) > 0, "a spark"
    assert view.shots.hides(mine)
    assert not view.shots.hides(other), "of others the server tells"


def test_a_flash_at_the_muzzle_once_for_each_shot(
    screen: "pygame.Surface", empty: nc.World
) -> None:
    own = next(iter(empty[Ship]))
    view = View(1280, 720)
    lights = []
    for tick in range(1, 7):
        if tick in (2, 4):
            shoot(empty, 30, 0)
        if tick == 5:
            shoot(empty, 60, 0, player=2)
        before = len(view.effects)
        view.update(empty, own, 0.0, tick=tick)
        lights.append(len(view.effects) > before)
    assert lights == [False, True, False, True, False, False]


@pytest.mark.parametrize("kind", [Ship, Rock, game.Crystal])
def test_what_fades_is_between_there_and_not_there(
    screen: "pygame.Surface", empty: nc.World, kind: type[nc.Entity]
) -> None:
    view = View(1280, 720)
    view.update(empty, next(iter(empty[Ship])), 1 / 60)
    thing: Any = empty.spawn(kind, x=150, y=50, **({"grade": 3} if kind is Rock else {}))
    x, y = view.camera.screen(150, 50)
    area = pygame.Rect(round(x) - 12, round(y) - 12, 24, 24)

    def picture(fade: float) -> Any:
        empty.table(kind).fades[thing._row] = fade
        view.draw(screen, empty, None, 1.0, labels=False)
        return pygame.surfarray.array3d(screen.subsurface(area)).astype(int)

    there, half, away = picture(1.0), picture(0.5), picture(0.0)
    whole = abs(there - away).sum()
    assert 0.3 < abs(half - away).sum() / whole < 0.7
    assert abs(picture(1.0) - there).sum() == 0, "its picture is kept, and others use it"
    empty.despawn(thing)
    view.draw(screen, empty, None, 1.0, labels=False)
    nothing = pygame.surfarray.array3d(screen.subsurface(area)).astype(int)
    assert abs(nothing - away).sum() == 0, "at first there is nothing to be seen of it"


# -- what F3 says of the feel --------------------------------------------------------------------


def feel(history: NetworkHistory) -> dict[str, float]:
    return {f.title: series[-1] for f, series in zip(FIGURES, history.series, strict=True)}


def test_lead_and_delay_are_in_milliseconds_and_what_went_wrong_is_a_rate() -> None:
    history = NetworkHistory()
    for quarter in range(41):
        wrong = 3 * max(0, quarter - 20) // 4  # three a second, from the fifth second on
        stats = nc.NetworkStats(
            lead=0.08, interpolation_delay=0.11, corrections=wrong, mispredictions=2 * wrong
        )
        history.take(quarter / 4, stats)
        if quarter == 20:
            assert feel(history)["CORRECTIONS"] == feel(history)["MISPREDICTED"] == 0
    told = feel(history)
    assert told["LEAD"] == pytest.approx(80)
    assert told["DISPLAY DELAY"] == pytest.approx(110)
    assert told["CORRECTIONS"] == pytest.approx(3)
    assert told["MISPREDICTED"] == pytest.approx(6)
    for quarter in range(41, 50):
        history.take(quarter / 4, nc.NetworkStats(corrections=wrong, mispredictions=2 * wrong))
    assert feel(history)["CORRECTIONS"] == 0, "a second later it is over"


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_network_and_help_fit_the_window(screen: "pygame.Surface", width: int, height: int) -> None:
    surface, hud = pygame.Surface((width, height)), Hud()
    hud.resize(width, height)
    box = draw_network(surface, hud.scale, NetworkHistory(), "webrtc · direct", "clean")
    assert surface.get_rect().contains(box)
    assert surface.get_rect().contains(draw_help(surface, hud.scale))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_badges_stand_between_score_board_and_minimap(
    screen: "pygame.Surface", world: nc.World, width: int, height: int
) -> None:
    surface, hud, view = pygame.Surface((width, height)), Hud(), View(width, height)
    hud.resize(width, height)
    texts = ("weather: terrible", "prediction off", "interpolation off", "ghosts")

    def picture(badges: list[Badge]) -> Any:
        surface.fill((0, 0, 0))
        hud.draw(surface, world, 1, None, view.camera, 1.0, badges)
        return pygame.surfarray.array3d(surface).astype(int)

    changed = abs(picture([Badge(text, palette.CORAL) for text in texts]) - picture([]))
    columns = changed.sum(axis=(1, 2)).nonzero()[0]
    assert len(columns) > 0
    assert columns[0] > 276 * hud.scale
    assert columns[-1] < width - 182 * hud.scale
