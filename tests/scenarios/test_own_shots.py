"""What a player's own tank fires is there at once, and is the server's when that arrives."""

import itertools
from collections import Counter

import pytest

from netcode.testing import FRAME, SteppedClient
from tests.scenarios.duel_game import BOLT_SPEED, Bolt, Drive, Tank, begin, enter


def once(guest: SteppedClient) -> list[Drive]:
    return [Drive(fire=True)]


@pytest.mark.parametrize("weather", ["clean", "4g", "terrible"])
def test_a_bolt_is_seen_within_two_frames_of_the_key_press(weather: str) -> None:
    game = begin(seed=3)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    assert len(ada.world[Bolt]) == 0
    game.run(2 * FRAME, once)
    [bolt] = ada.world[Bolt]
    assert bolt.mine
    assert bolt.handle == -1
    assert len(game.host.world[Bolt]) == 0 or weather == "clean"


@pytest.mark.parametrize("weather", ["clean", "4g", "loss5"])
def test_it_becomes_the_servers_and_stays_the_same_object_in_the_same_place(weather: str) -> None:
    game = begin(seed=1)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    game.run(2 * FRAME, once)
    [bolt] = ada.world[Bolt]
    places = [bolt.x]
    for _ in range(60):
        game.run(FRAME)
        assert list(ada.world[Bolt]) == [bolt]
        places.append(bolt.x)
    [real] = game.host.world[Bolt]
    assert (bolt.handle, bolt.number) == (real.handle, real.number)
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert all(0.9 < step / (BOLT_SPEED * FRAME) < 1.1 for step in steps)
    assert ada.stats.corrections == 0


def test_it_enters_and_leaves_once() -> None:
    game = begin(seed=5)
    ada = enter(game, "Ada", "loss5")
    game.run(2.0)
    events: list[tuple[str, int]] = []
    ada.on_enter(Bolt)(lambda bolt: events.append(("enter", bolt.number)))
    ada.on_leave(Bolt)(lambda bolt: events.append(("leave", bolt.number)))
    for _ in range(12):
        game.run(FRAME, once)
        game.run(0.3)
    game.run(5.0)
    counts = Counter(events)
    numbers = {number for _, number in events}
    assert len(numbers) == 12
    assert counts == Counter([(what, n) for n in numbers for what in ("enter", "leave")])
    assert len(ada.world[Bolt]) == len(game.host.world[Bolt]) == 0


def test_others_see_it_where_the_server_has_it() -> None:
    game = begin()
    ada, bob = enter(game, "Ada", "4g"), enter(game, "Bob", "4g")
    game.run(2.0)
    game.run(FRAME, lambda guest: [Drive(fire=guest is ada)])
    game.run(1.0)
    [seen], [own] = bob.world[Bolt], ada.world[Bolt]
    assert not seen.mine
    assert seen.handle == own.handle
    assert seen.x < own.x


def test_a_bolt_that_the_server_never_fired_goes_after_a_while() -> None:
    """The server's tank was still loading: a rule that the client did not know of."""
    game = begin()
    ada = enter(game, "Ada", "4g")
    game.run(2.0)

    def jam(step: object) -> None:
        for tank in game.host.world[Tank]:
            tank.loading = 6

    game.host.on_tick.append(jam)
    game.run(2 * FRAME, once)
    assert len(ada.world[Bolt]) <= 1
    game.run(0.5)
    assert len(ada.world[Bolt]) == len(game.host.world[Bolt]) == 0


def test_a_press_that_was_lost_again_and_again_leaves_no_bolt_behind() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(2.0)
    game.run(FRAME, once)
    guest_end = ada.wire.ends[1]
    ada.wire.drop(lambda sender, lane, data: sender is guest_end and data[0] == 17)
    game.run(1.0)
    ada.wire.drop(None)
    game.run(1.5)
    assert len(ada.world[Bolt]) == len(game.host.world[Bolt])


@pytest.mark.parametrize("weather", ["loss5", "terrible"])
def test_in_any_weather_own_bolts_are_those_of_the_server_in_the_end(weather: str) -> None:
    game = begin(seed=8)
    guests = [enter(game, name, weather) for name in ("Ada", "Bob")]
    game.run(2.0)
    game.run(4.0, lambda guest: [Drive(go=1 if int(game.clock.now * 3) % 2 else -1, fire=True)])
    game.run(5.0)
    for guest in guests:
        assert len(guest.world[Bolt]) == len(game.host.world[Bolt]) == 0


def test_a_row_that_the_server_gives_to_another_does_not_take_the_bolts_place() -> None:
    """Bob's bolt enters the row in which Ada's stands in her own world."""
    game = begin()
    ada, bob = enter(game, "Ada", "4g"), enter(game, "Bob", "lan")
    game.run(2.0)
    ada.lose(down="x")
    for _ in range(4):
        game.run(FRAME, lambda guest: [Drive(fire=guest is bob)])
        game.run(0.15)
    game.run(2 * FRAME, lambda guest: [Drive(fire=guest is ada)])
    [mine] = ada.world[Bolt]
    ada.lose()
    for _ in range(30):
        game.run(FRAME)
        assert mine in list(ada.world[Bolt])
        assert mine.mine
    assert len(ada.world[Bolt]) == 5
    assert sum(bolt.mine for bolt in ada.world[Bolt]) == 1
