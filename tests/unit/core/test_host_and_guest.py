"""Host and guest: what is refused at once, and when they want to be called."""

from typing import Any

import pytest

import netcode as nc
from netcode.core.guest import Guest
from netcode.core.host import MAX_SEED, Host
from netcode.testing import ManualClock, Stepper
from netcode.transports.loopback import loopback_pair
from tests.scenarios.small_game import GAME, Steer, begin, enter

BAD: list[dict[str, Any]] = [
    {"tick_rate": 0},
    {"tick_rate": 5000},
    {"broadcast_rate": 0},
    {"broadcast_rate": 25},
    {"broadcast_rate": 120},
    {"max_players": 0},
    {"seed": -1},
    {"seed": MAX_SEED},
    {"seed": 1.5},
]


@pytest.mark.parametrize("options", BAD, ids=str)
def test_a_host_refuses_at_once_what_could_not_work(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(nc.UsageError, match=name):
        Host(GAME, ManualClock(), **options)


@pytest.mark.parametrize("seed", [0, MAX_SEED - 1])
def test_every_seed_that_is_taken_can_be_told_to_players(seed: int) -> None:
    game = Stepper(GAME, seed=seed)
    guest = game.join("Ada")
    game.run(0.5)
    assert guest.joined


def test_a_host_wants_to_be_called_for_its_next_tick() -> None:
    clock = ManualClock()
    host = Host(GAME, clock)
    host.advance()
    assert clock.now < host.next_timer() <= clock.now + 1 / 60 + 1e-9


def test_a_host_with_seldom_ticks_wants_to_be_called_for_its_links_too() -> None:
    clock = ManualClock()
    host = Host(GAME, clock, tick_rate=1, broadcast_rate=1)
    host.advance()
    assert host.next_timer() <= clock.now + 0.25


def test_a_guest_that_waits_for_its_welcome_does_not_spin() -> None:
    clock = ManualClock()
    near, far, _ = loopback_pair(clock, seed=1)
    far.start(lambda lane, data: None, lambda reason: None)
    guest = Guest(GAME, "Ada", clock)
    assert guest.next_timer() > clock.now
    guest.attach(near)
    guest.pump()
    assert guest.next_timer() > clock.now


def test_a_guest_in_the_game_wants_to_be_called_for_inputs() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(1.0)
    for _ in range(20):
        ada.guest.pump()
        assert game.clock.now < ada.guest.next_timer() <= game.clock.now + 1 / 30 + 1e-6
        game.clock.now = ada.guest.next_timer()


def test_an_update_before_joining_is_harmless_and_its_misuse_is_told() -> None:
    guest = Guest(GAME, "Ada", ManualClock())
    guest.update(Steer(thrust=1))
    guest.update()
    assert guest.stats() == nc.NetworkStats()

    class Alien(nc.Input):
        pass

    with pytest.raises(nc.UsageError, match="Alien"):
        guest.update(Alien())


def test_player_repr_and_viewpoint_misuse() -> None:
    game = begin()
    ada = enter(game, "Ada")
    player = game.player_of(ada)
    assert repr(player) == f"<Player {player.id} 'Ada'>"
    for bad in ((1.0,), (1.0, 2.0, 3.0, 4.0)):
        with pytest.raises(nc.UsageError, match="viewpoint"):
            player.viewpoint = bad


def test_figures_of_the_connection() -> None:
    game = begin()
    ada = enter(game, "Ada", "loss5")
    game.run(4.0)
    stats = ada.stats
    assert stats.rtt == pytest.approx(0.1, abs=0.02)
    assert stats.broadcast_hz == pytest.approx(19, abs=2)
    assert stats.packets_in == pytest.approx(24, abs=4)
    assert stats.packets_out == pytest.approx(34, abs=4)
    assert 0.0 <= stats.loss < 0.2
    assert 0.1 < stats.lead < 0.3
    assert stats.interpolation_delay == pytest.approx(0.1, abs=0.06)
    assert stats.transport == "loopback"
    assert 0 < stats.bytes_in < 3000
    assert 0 < stats.bytes_out < 3000
