"""A burst of loss is healed by the first packet after it."""

import pytest

from tests.scenarios.small_game import Rock, begin, contents, enter


def test_the_first_packet_after_a_burst_brings_everything_that_changed() -> None:
    game = begin()
    ada = enter(game, "Ada")
    rocks = [game.host.world.spawn(Rock, x=n) for n in range(20)]
    game.run(1.0)

    ada.lose(down="x")
    for rock in rocks:
        rock.x += 100
    rocks[3].size = 7
    game.host.world.despawn(rocks[4])
    game.run(0.6)
    before = contents(ada.authoritative)
    assert before["Rock"] != contents(game.host.world)["Rock"]

    heard = ada.guest.authoritative_tick
    ada.lose()
    game.run_until(lambda: ada.guest.authoritative_tick > heard, within=0.1)
    assert contents(ada.authoritative) == contents(game.host.world)


@pytest.mark.parametrize("pattern", [".x", ".xx", "..x", "x.xxxx", ".....xxxxxxxxxx"])
def test_a_pattern_of_loss_delays_but_never_corrupts(pattern: str) -> None:
    game = begin()
    ada = enter(game, "Ada")
    rocks = [game.host.world.spawn(Rock, x=n, size=n) for n in range(30)]
    ada.lose(down=pattern)
    for n in range(40):
        rocks[n % 30].x += 3.0
        rocks[(7 * n) % 30].size = n
        game.run(0.05)
        for rock in ada.authoritative[Rock]:
            assert 0 <= rock.x <= 50
    game.run(1.0)
    assert contents(ada.authoritative) == contents(game.host.world)


def test_inputs_lost_on_their_way_are_repeated_by_later_packets() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(1.0)
    ada.lose(up=".x")
    missing = game.host.stats.missing_inputs
    game.run(3.0)
    # Every input comes, some too late for their tick: then the last one is held.
    assert game.host.stats.missing_inputs - missing < 0.5 * 180
    assert ada.error is None
