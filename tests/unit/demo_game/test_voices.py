"""Voice in the demo: who is said to speak, where voices come from, what the settings set."""

import os
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
pygame = pytest.importorskip("pygame", reason="needs pygame: pip install 'netcode[demo]'")

import netcode as nc  # noqa: E402  pygame's absence skips this file first
from demo_game import palette, voice_panel, voices  # noqa: E402
from demo_game.arena_screen import ArenaScreen  # noqa: E402
from demo_game.game import ARENA, GAME, Pilot, Ship, Steer  # noqa: E402
from demo_game.humming import HUMS, PAUSES, Humming  # noqa: E402
from demo_game.voice_panel import Person, VoicePanel  # noqa: E402
from demo_game.voice_stats import voice_lines  # noqa: E402
from demo_game.voices import (  # noqa: E402
    PROBLEM_SECONDS,
    STAYS,
    Rehearsal,
    VoiceChoices,
    Voices,
    share_of,
)
from netcode.errors import VoiceError  # noqa: E402
from netcode.voice.devices import DEFAULT, Device, Devices  # noqa: E402
from tests.unit.demo_game.fake_voice import FakeChat  # noqa: E402
from tests.unit.demo_game.test_inspection import FakeClient  # noqa: E402

SIZES = [(1280, 720), (640, 400), (1600, 900), (500, 900)]
HEADSET, WEBCAM = Device("1", "Headset"), Device("2", "Webcam")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator["pygame.Surface"]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.font.init()
    yield pygame.display.set_mode((1280, 720))
    pygame.display.quit()
    pygame.font.quit()
    palette.forget_fonts()


@pytest.fixture(autouse=True)
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two microphones and a speaker, and no thread that looks for them."""

    class Watch:
        latest = Devices([HEADSET, WEBCAM], [HEADSET])

        def close(self) -> None:
            pass

    monkeypatch.setattr(voice_panel, "DeviceWatch", Watch)


@pytest.fixture
def world() -> nc.World:
    """Ada at the middle, Bob 100 to the right of her, Cid out of sight."""
    world = nc.World(GAME.entities)
    for number, name in enumerate(("Ada", "Bob", "Cid"), start=1):
        world.spawn(
            Pilot, player=number, name=name, colour=number, flying=True, radar_x=255, radar_y=0
        )
    world.spawn(Ship, player=1, name="Ada", x=0, y=0)
    world.spawn(Ship, player=2, name="Bob", x=100, y=0, colour=2)
    return world


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


def voices_of(chat: Any, choices: VoiceChoices | None = None) -> Voices:
    return Voices(chat, choices or VoiceChoices())


def key(code: int) -> "pygame.event.Event":
    return pygame.event.Event(pygame.KEYDOWN, key=code, unicode="", mod=0)


# -- who speaks, and from where ------------------------------------------------------------------


def test_who_speaks_has_a_name_a_colour_and_a_level(world: nc.World, chat: FakeChat) -> None:
    here = voices_of(chat)
    chat.speaking = {3: 0.2, 2: 0.9, 77: 1.0}
    here.update(world, 0.0)
    assert [(one.name, one.colour, one.level) for one in here.speaking] == [
        ("Bob", 2, 0.9),
        ("Cid", 3, 0.2),
    ], "who is no pilot is not shown"
    assert here.heard == {2, 3}
    chat.speaking = {}
    here.update(world, 1.0)
    assert here.speaking == []
    assert set(here.recent) == {2, 3}
    here.update(world, STAYS + 0.1)
    assert here.recent == {}
    assert here.heard == {2, 3}


def test_voices_come_from_the_ships_or_from_where_the_minimap_has_them(
    world: nc.World, chat: FakeChat
) -> None:
    here = voices_of(chat)
    here.update(world, 0.0)
    assert chat.locate is not None
    assert chat.locate(1) == (0, 0)
    assert chat.locate(2) == (100, 0)
    assert chat.locate(3) == (ARENA, -ARENA)
    assert chat.locate(77) is None
    pilots, ships = list(world[Pilot]), list(world[Ship])
    pilots[1].flying = False
    world.despawn(ships[1])
    world.despawn(pilots[2])
    here.update(world, 0.1)
    assert chat.locate(2) == (100, 0), "a wrecked pilot speaks from the wreck"
    assert chat.locate(3) is None, "and who has left from nowhere"


def test_choices_are_kept_by_name_from_one_arena_to_the_next(world: nc.World) -> None:
    choices = VoiceChoices(gain=2.0, loudness=0.5, volumes={"Bob": 1.5}, muted={"Cid"})
    for _ in range(2):
        chat = FakeChat()
        here = voices_of(chat, choices)
        here.update(world, 0.0)
        assert (chat.gain, chat.loudness) == (2.0, 0.5)
        assert chat.volumes[2] == 1.5
        assert chat.silenced == {3}
        next(iter(world[Pilot])).name = "Cid"  # and whoever is called so
        here.update(world, 0.1)
        assert chat.silenced == {1, 3}
        next(iter(world[Pilot])).name = "Ada"


def test_choices_become_a_voice_to_connect_with() -> None:
    assert VoiceChoices().voice() == nc.Voice()
    chosen = VoiceChoices(mode="open", microphone=WEBCAM, speaker=HEADSET).voice()
    assert (chosen.mode, chosen.microphone, chosen.speaker) == ("open", "2", "1")


def test_a_problem_is_told_for_a_while_and_again_to_who_wants_to_talk(
    world: nc.World, chat: FakeChat
) -> None:
    here = voices_of(chat)
    here.update(world, 0.0)
    assert here.problem(0.0) is None
    chat.problem = "no microphone was found: plug one in"
    here.update(world, 5.0)
    assert here.problem(5.0 + PROBLEM_SECONDS - 1) == chat.problem
    assert here.problem(5.0 + PROBLEM_SECONDS + 1) is None
    here.press(True)
    assert here.problem(5.0 + PROBLEM_SECONDS + 1) == chat.problem
    chat.problem = None
    here.update(world, 40.0)
    assert here.problem(40.0) is None


def test_levels_are_shares_of_sixty_decibels() -> None:
    assert [share_of(level) for level in (-100.0, -60.0, -30.0, 0.0)] == [0, 0, 0.5, 1]


def test_a_rehearsal_says_what_is_wrong_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def __init__(self, device: str | None, **callbacks: object) -> None:
            pass

        def start(self) -> None:
            raise VoiceError("no microphone was found: plug one in")

        def close(self) -> None:
            pass

    monkeypatch.setattr(voices, "Microphone", Missing)
    rehearsal = Rehearsal(VoiceChoices())
    assert rehearsal.problem == "no microphone was found: plug one in"
    assert rehearsal.level == -100
    rehearsal.close()


def test_bots_hum_now_and_then_for_some_seconds() -> None:
    humming = Humming(random.Random(1))
    hums = [humming.pressed(100.0 + frame / 20) for frame in range(20 * 600)]
    changes = [frame for frame in range(1, len(hums)) if hums[frame] != hums[frame - 1]]
    lengths = [(b - a) / 20 for a, b in pairwise(changes)]
    assert not hums[0]
    sung, silent = lengths[::2], lengths[1::2]
    assert all(HUMS[0] - 0.1 <= length <= HUMS[1] + 0.1 for length in sung)
    assert all(PAUSES[0] - 0.1 <= length <= PAUSES[1] + 0.1 for length in silent)


# -- in the arena --------------------------------------------------------------------------------


@pytest.fixture
def player(screen: "pygame.Surface", world: nc.World, chat: FakeChat) -> ArenaScreen:
    client: Any = FakeClient(world)
    client.voice = chat
    return ArenaScreen(client, "ws://here", 1280, 720, None, VoiceChoices())


def picture(player: ArenaScreen, screen: "pygame.Surface", now: float = 1.0) -> Any:
    player.update(Steer(), now, 0.0)
    player.draw(screen)
    return pygame.surfarray.array3d(screen).astype(int)


def test_v_talks_while_it_is_held_unless_it_is_typed(
    player: ArenaScreen, chat: FakeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {pygame.K_v}
    keys: Any = type("Keys", (), {"__getitem__": lambda self, code: code in held})
    monkeypatch.setattr(pygame.key, "get_pressed", keys)
    player.steer()
    assert chat.pressed
    player.chat.typing = ""
    player.steer()
    assert not chat.pressed
    player.chat.typing = None
    player.steer()
    held.clear()
    player.steer()
    assert not chat.pressed


def test_m_mutes_and_a_badge_says_so(player: ArenaScreen, chat: FakeChat) -> None:
    player.handle(key(pygame.K_m))
    assert chat.muted
    assert [badge.text for badge in player.badges()] == ["microphone muted"]
    player.handle(key(pygame.K_m))
    assert not chat.muted
    assert player.badges() == []


def test_a_red_dot_while_somebody_records(player: ArenaScreen, chat: FakeChat) -> None:
    chat.recording = True
    (badge,) = player.badges()
    assert (badge.text, badge.colour) == ("recording", palette.RED)


def test_who_speaks_has_a_mark_over_the_ship_and_a_bar_that_moves(
    player: ArenaScreen, screen: "pygame.Surface", chat: FakeChat
) -> None:
    silent = picture(player, screen)
    chat.speaking = {2: 0.3}
    low = picture(player, screen)
    chat.speaking = {2: 0.9}
    high = picture(player, screen)
    x, y = player.view.camera.screen(100, 0)
    over_the_ship = (slice(round(x) - 20, round(x) + 20), slice(round(y) - 80, round(y) - 50))
    below = player.hud.board_bottom
    the_list = (slice(14, 276), slice(below + 5, below + 80))
    for place in (over_the_ship, the_list):
        assert abs(low[place] - silent[place]).sum() > 0
        assert abs(high[place] - low[place]).sum() > 0


def test_the_own_level_is_shown_while_one_talks(
    player: ArenaScreen, screen: "pygame.Surface", chat: FakeChat
) -> None:
    middle = (slice(500, 780), slice(590, 628))
    silent = picture(player, screen)[middle]
    chat.pressed, chat.level = True, -50.0
    low = picture(player, screen)[middle]
    chat.level = -10.0
    high = picture(player, screen)[middle]
    assert abs(low - silent).sum() > 0
    assert abs(high - low).sum() > 0


def test_f3_has_delay_loss_and_what_was_made_up_of_each_voice(
    player: ArenaScreen, screen: "pygame.Surface", chat: FakeChat
) -> None:
    chat.speaking = {2: 0.5}
    picture(player, screen)
    (line,) = voice_lines(player.voices, {2: ("Bob", 2)})
    assert (line.name, line.delay, line.made_up, line.level) == ("Bob", 60, 0.1, 0.5)
    assert line.lost == pytest.approx(0.1)
    player.handle(key(pygame.K_F3))
    picture(player, screen)
    chat.speaking = {}
    picture(player, screen, 100.0)
    assert voice_lines(player.voices, {2: ("Bob", 2)}) == []


def test_f2_opens_the_settings_and_arrows_are_theirs_while_letters_still_fly(
    player: ArenaScreen, screen: "pygame.Surface", monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {pygame.K_LEFT, pygame.K_w}
    keys: Any = type("Keys", (), {"__getitem__": lambda self, code: code in held})
    monkeypatch.setattr(pygame.key, "get_pressed", keys)
    assert player.steer() == Steer(turn=-1, thrust=True)
    player.handle(key(pygame.K_F2))
    assert player.voice_panel is not None
    assert player.steer() == Steer(turn=0, thrust=True)
    picture(player, screen)
    assert [person.name for person in player.voice_panel.people] == ["Bob", "Cid"]
    assert player.handle(key(pygame.K_ESCAPE)), "closes the settings, and leaves nothing"
    assert player.voice_panel is None


# -- the settings --------------------------------------------------------------------------------


@pytest.fixture
def panel(screen: "pygame.Surface", chat: FakeChat) -> VoicePanel:
    ends: Any = chat
    here = voices_of(chat)
    panel = VoicePanel(here.choices, ends, here.obey)
    panel.people = [Person(2, "Bob", 2), Person(3, "Cid", 3)]
    return panel


def test_devices_are_chosen_in_a_circle(panel: VoicePanel, chat: FakeChat) -> None:
    names = []
    for _ in range(3):
        panel.handle(key(pygame.K_RIGHT))
        names.append((panel.choices.microphone.name, chat.microphone))
    assert names == [("Headset", "1"), ("Webcam", "2"), (DEFAULT.name, None)]
    panel.handle(key(pygame.K_LEFT))
    assert chat.microphone == "2"
    panel.chosen = 3
    panel.handle(key(pygame.K_RIGHT))
    assert (chat.speaker, panel.choices.speaker) == ("1", HEADSET)


def test_keys_set_levels_mode_and_each_pilot(panel: VoicePanel, chat: FakeChat) -> None:
    def press(*codes: int) -> None:
        for code in codes:
            assert panel.handle(key(code))

    press(pygame.K_DOWN, pygame.K_RIGHT, pygame.K_RIGHT)
    assert chat.gain == panel.choices.gain == pytest.approx(1.2)
    press(pygame.K_DOWN, pygame.K_RIGHT)
    assert chat.mode == panel.choices.mode == "open"
    press(pygame.K_DOWN, pygame.K_DOWN, *[pygame.K_LEFT] * 20)
    assert chat.loudness == panel.choices.loudness == 0
    press(pygame.K_DOWN, pygame.K_RIGHT)
    assert chat.volumes == {2: pytest.approx(1.1)}
    press(pygame.K_DOWN, pygame.K_RETURN)
    assert chat.silenced == {3}
    assert panel.choices.muted == {"Cid"}
    press(pygame.K_RETURN)
    assert chat.silenced == set()
    press(pygame.K_DOWN)
    assert panel.chosen == 0, "after the last comes the first"
    assert not panel.handle(key(pygame.K_w)), "other keys are the game's"


def test_the_mouse_drags_sliders_and_mutes(
    panel: VoicePanel, screen: "pygame.Surface", chat: FakeChat
) -> None:
    panel.draw(screen, 1.0)
    gain, bob = panel._boxes[1], panel._boxes[5]

    def mouse(kind: int, place: tuple[int, int]) -> bool:
        return panel.handle(pygame.event.Event(kind, pos=place, button=1))

    assert mouse(pygame.MOUSEBUTTONDOWN, (gain.x, gain.centery))
    assert chat.gain == 0
    mouse(pygame.MOUSEMOTION, (gain.right, gain.centery + 80))
    assert chat.gain == 4
    mouse(pygame.MOUSEBUTTONUP, (gain.right, gain.centery))
    assert not mouse(pygame.MOUSEMOTION, (gain.x, gain.centery))
    assert chat.gain == 4
    mouse(pygame.MOUSEBUTTONDOWN, (bob.right - 5, bob.centery))
    assert chat.silenced == {2}


def test_a_pilot_who_leaves_takes_the_choice_along(
    panel: VoicePanel, screen: "pygame.Surface"
) -> None:
    panel.chosen = 6
    panel.draw(screen, 1.0)
    panel.people = []
    assert panel.handle(key(pygame.K_DOWN))
    panel.draw(screen, 1.0)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_settings_fit_the_window_however_many_pilots_there_are(
    panel: VoicePanel, chat: FakeChat, width: int, height: int
) -> None:
    surface = pygame.Surface((width, height))
    panel.people = [Person(number, f"pilot {number}", number % 8) for number in range(40)]
    chat.problem = "no microphone was found: plug one in, and choose it " * 3
    for panel.chosen in (0, 20, 44):
        box = panel.draw(surface, min(width / 1280, height / 720))
        assert surface.get_rect().contains(box)
        assert panel.chosen in panel._boxes, "what is chosen is shown"
