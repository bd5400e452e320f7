"""Lines in a test: weather that changes, losses chosen one by one, and machines that sleep."""

from typing import Any

import pytest

import netcode as nc
from netcode.errors import Disconnected
from netcode.link.frames import FIRST_DATAGRAM
from netcode.testing import LossPattern
from netcode.testing.lines import both_ways, steps_of
from netcode.transports.base import Lane
from tests.scenarios.small_game import Chat, Rock, Steer, begin, enter, own_ship, ship_of

STATE = bytes([FIRST_DATAGRAM])
MESSAGE = bytes([2])


def lost(pattern: LossPattern, count: int, lane: Lane, frame: bytes) -> str:
    return "".join(".x"[pattern.loses(lane, frame)] for _ in range(count))


def test_a_loss_pattern_repeats_and_counts_state_only() -> None:
    pattern = LossPattern(".xx")
    assert lost(pattern, 2, Lane.UNRELIABLE, STATE) == ".x"
    assert lost(pattern, 5, Lane.UNRELIABLE, MESSAGE) == "....."
    assert lost(pattern, 5, Lane.RELIABLE, MESSAGE) == "....."
    assert lost(pattern, 5, Lane.UNRELIABLE, STATE) == "x.xx."


def test_a_loss_pattern_of_a_delivery_counts_its_messages() -> None:
    pattern = LossPattern("x.", nc.RELIABLE)
    assert lost(pattern, 3, Lane.UNRELIABLE, STATE) == "..."
    assert lost(pattern, 3, Lane.RELIABLE, MESSAGE) == "x.x"
    assert lost(LossPattern("x", nc.UNRELIABLE), 2, Lane.UNRELIABLE, STATE) == ".."
    assert lost(LossPattern("x", nc.UNRELIABLE), 2, Lane.UNRELIABLE, MESSAGE) == "xx"


def test_a_loss_pattern_may_end() -> None:
    assert lost(LossPattern("x.x", repeat=False), 6, Lane.UNRELIABLE, STATE) == "x.x..."


def test_an_empty_loss_pattern_is_refused() -> None:
    with pytest.raises(nc.UsageError):
        LossPattern("")


def test_losing_downwards_ends_when_told() -> None:
    game = begin()
    ada = enter(game, "Ada")
    ada.lose(down="x")
    rock = game.server.world.spawn(Rock)
    game.run(0.5)
    assert ada.find(rock) is None
    ada.lose()
    game.run(0.5)
    assert ada.find(rock) is not None


def test_losing_upwards_keeps_inputs_away() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(0.5)
    ada.lose(up=LossPattern("x"))
    game.run(0.5, lambda client: [Steer(thrust=1)])
    assert own_ship(ada).vx > 0
    assert ship_of(game, ada).vx == 0
    ada.lose()
    game.run(0.5, lambda client: [Steer(thrust=1)])
    assert ship_of(game, ada).vx > 0


def test_a_lost_message_is_sent_again_after_the_timeout() -> None:
    game = begin()
    ada = enter(game, "Ada")
    heard: list[float] = []
    ada.on(Chat)(lambda chat: heard.append(game.clock.now))
    ada.lose(down=LossPattern("x", nc.RELIABLE, repeat=False))
    said = game.clock.now
    game.server.broadcast(Chat(text="hi"))
    game.run(1.0)
    assert [at - said for at in heard] == pytest.approx([0.2], abs=0.04)


# -- weather ---------------------------------------------------------------------------------


def test_weather_has_a_way_up_and_a_way_down() -> None:
    slow = nc.Conditions(delay=0.2)
    assert both_ways(("clean", slow)) == (nc.Conditions(), slow)
    assert both_ways(slow) == (slow, slow)
    game = begin()
    ada = game.join("Ada", (nc.Conditions(), slow))
    assert game.run_until(lambda: ada.joined, within=1) == pytest.approx(0.2, abs=0.03)


def test_weather_changes_in_mid_game() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(1.0)
    assert ada.stats.rtt < 0.05
    ada.weather = nc.Conditions(delay=0.15)
    assert ada.weather == nc.Conditions(delay=0.15)
    game.run(6.0)
    assert ada.stats.rtt == pytest.approx(0.3, abs=0.05)


def test_a_script_of_weather_runs_step_by_step_and_its_last_stays() -> None:
    game = begin()
    ada = enter(game, "Ada")
    script: nc.testing.WeatherScript = [(1.0, "clean"), (0.5, nc.Conditions(loss=1)), (0, "clean")]
    ada.weather = script
    lost_at = []
    for n in range(30):
        before = ada.guest.authoritative_tick
        game.run(0.1)
        if ada.guest.authoritative_tick == before:
            lost_at.append(n)
    assert lost_at == [10, 11, 12, 13, 14]
    assert ada.weather == script


def test_a_client_may_join_by_a_script() -> None:
    game = begin()
    ada = game.join("Ada", [(0.5, nc.Conditions(loss=1)), (0, "clean")])
    assert 0.5 < game.run_until(lambda: ada.joined, within=3.0) < 1.5


NO_WEATHER: list[Any] = ["nice", [], [("4g", 2.0)], [(-1.0, "4g")], [(1.0, "nice")], [3], ("4g",)]


@pytest.mark.parametrize("weather", NO_WEATHER, ids=str)
def test_what_is_no_weather_is_told_at_once(weather: Any) -> None:
    with pytest.raises(nc.UsageError):
        steps_of(weather)
    game = begin()
    ada = game.join("Ada")
    with pytest.raises(nc.UsageError):
        ada.weather = weather
    with pytest.raises(nc.UsageError):
        game.join("Bob", weather)
    assert game.clients == [ada]


# -- machines --------------------------------------------------------------------------------


def test_a_cut_line_is_noticed_at_both_ends() -> None:
    game = begin(grace=1.0)
    ada = enter(game, "Ada")
    player = game.player_of(ada)
    ada.cut()
    game.run(3.0)
    assert player.reconnecting
    assert ada.reconnecting
    game.run(1.0)
    assert "nothing heard" in (player.left_because or "")
    assert isinstance(ada.error, Disconnected)


def test_a_client_comes_back_on_another_line() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    ada.cut()
    game.run(3.0)
    ada.relink()
    game.run(1.0)
    assert not ada.reconnecting
    game.assert_agreement(ada)
    ada.weather = "lan"
    game.run(3.0)
    assert ada.stats.rtt < 0.08  # the weather is that of the new line
    ada.close()
    with pytest.raises(nc.UsageError, match="in the game"):
        ada.relink()


def test_asleep_neither_game_nor_network_nor_clock_run() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    game.run(1.0)
    player = game.player_of(ada)
    tick, clock, heard = ada.tick, ada.clock(), ada.guest.authoritative_tick
    ada.asleep = True
    game.server.broadcast(Chat(text="wake up"))
    words: list[str] = []
    ada.on(Chat)(lambda chat: words.append(chat.text))
    game.run(1.5)
    assert (ada.tick, ada.clock(), ada.guest.authoritative_tick) == (tick, clock, heard)
    assert ada.asleep
    assert player.connected
    ada.asleep = False
    game.run(1.0)
    assert words == ["wake up"]
    assert ada.clock() == pytest.approx(clock + 1.0)
    game.run(2.0)
    assert ada.error is None
    game.assert_agreement()


def test_who_sleeps_for_long_has_left() -> None:
    game = begin()
    ada = enter(game, "Ada")
    player = game.player_of(ada)
    ada.asleep = True
    game.run(15.0)
    assert not player.connected
    assert ada.error is None  # it does not know yet
    ada.asleep = False
    game.run(3.0)
    ada.relink()
    game.run(0.5)
    assert isinstance(ada.error, Disconnected)
    assert "gone on without" in ada.error.reason


def test_a_message_of_several_packets_survives_a_nap() -> None:
    game = begin()
    ada = enter(game, "Ada", nc.Conditions(delay=0.1))
    words: list[str] = []
    ada.on(Chat)(lambda chat: words.append(chat.text))
    for n in range(20):
        game.server.broadcast(Chat(text=f"{n:03}" * 60))
    game.run(0.05)
    ada.asleep = True
    game.run(0.5)
    ada.asleep = False
    game.run(3.0)
    assert [word[:3] for word in words] == [f"{n:03}" for n in range(20)]
    assert game.player_of(ada).connected


def test_a_clock_that_drifts_goes_its_own_way() -> None:
    game = begin()
    ada = enter(game, "Ada")
    before = ada.clock() - game.clock()
    ada.drift_ppm = 500.0
    game.run(20.0, lambda client: [Steer(thrust=1)])
    assert ada.clock() - game.clock() - before == pytest.approx(0.01)
    assert ada.drift_ppm == 500.0
    missing = game.server.stats.missing_inputs
    game.run(10.0)
    assert game.server.stats.missing_inputs - missing < 12
    with pytest.raises(nc.UsageError, match="drift_ppm"):
        ada.drift_ppm = 1e6
