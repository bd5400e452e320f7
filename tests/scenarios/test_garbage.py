"""Garbage from a client ends that client's game, and nobody else's."""

import logging
import random

import pytest

from netcode.errors import Disconnected
from netcode.link.frames import FIRST_DATAGRAM, Piece, channel_id
from netcode.testing import ManualClock, SteppedClient, Stepper
from netcode.transports.base import Lane
from netcode.transports.loopback import loopback_pair
from netcode.wire.packets import INPUT
from tests.scenarios.small_game import Ship, Steer, begin, enter, ship_of

LANES = pytest.mark.parametrize("lane", list(Lane), ids=lambda lane: lane.name)


def say(guest: SteppedClient, lane: Lane, data: bytes) -> None:
    assert guest.guest.link is not None
    guest.guest.link.transport.send(lane, data)


@LANES
@pytest.mark.parametrize("seed", [1])
def test_only_who_talks_nonsense_is_thrown_out(
    lane: Lane, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    game = begin()
    ada, mallory = enter(game, "Ada"), enter(game, "Mallory")
    for _ in range(50):
        kind = rng.choice([0, 1, 2, 3, 5, 15, INPUT, FIRST_DATAGRAM, 200, rng.randrange(256)])
        say(mallory, lane, bytes([kind]) + rng.randbytes(rng.randrange(60)))
        game.run(1 / 60)
        if mallory.error is not None:
            break
    before = ship_of(game, ada).x
    game.run(0.3, lambda guest: [Steer(thrust=1)])
    assert ship_of(game, ada).x > before
    assert ada.error is None
    if lane in (Lane.RELIABLE, Lane.UNORDERED):
        assert isinstance(mallory.error, Disconnected)
        assert len(game.host.world[Ship]) == 1
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("seed", range(2))
def test_inputs_that_are_nonsense_raise_nothing(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    game = begin()
    ada, mallory = enter(game, "Ada"), enter(game, "Mallory")
    taken: list[bytes] = []
    sent = mallory.guest.link.transport.send  # type: ignore[union-attr]

    def keep(lane: Lane, data: bytes) -> None:
        taken.append(data)
        sent(lane, data)

    mallory.guest.link.transport.send = keep  # type: ignore[union-attr, method-assign]
    game.run(0.5)
    inputs = [data for data in taken if data[0] == INPUT]
    for _ in range(80):  # fewer than end the link
        mutated = bytearray(rng.choice(inputs))
        for _ in range(rng.randrange(1, 6)):
            mutated[rng.randrange(1, len(mutated))] = rng.randrange(256)
        sent(Lane.UNRELIABLE, bytes(mutated[: rng.randrange(1, len(mutated) + 1)]))
        game.run(1 / 60)
    assert ada.error is None
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
    game.run(0.3)
    assert game.host.tick > 0


def knock(game: Stepper, data: bytes) -> list[str]:
    """Send one message on the control channel of a fresh link; why the link closed."""
    clock = ManualClock(game.clock.now)
    near, far, wire = loopback_pair(clock, seed=1)
    closed: list[str] = []
    far.start(lambda lane, data: None, closed.append)
    game.host.attach(near)
    control = channel_id("netcode/control", "RELIABLE")
    far.send(Lane.RELIABLE, Piece(control, 0, 0, 1, data).encode())
    for _ in range(60):
        game.run(0.1)
        clock.now = game.clock.now
        wire.advance(clock.now)
        if closed:
            break
    return closed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93" * 900,
        b"hello",
        bytes(3000),
        b"\x92\xa5Hello\x80",
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["empty", "never used byte", "deep", "text", "zeros", "no fields", "endless map"],
)
def test_a_hello_that_is_none_gets_nobody_in(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    game = begin()
    assert knock(game, data)
    assert len(game.host.guests) == game.host.waiting == 0
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("seed", range(2))
def test_nonsense_from_a_server_ends_the_guest_with_a_reason_and_nothing_else(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    game = begin()
    ada = enter(game, "Ada")
    link = game.player_of(ada).connection.link
    assert link is not None
    for _ in range(150):
        link.transport.send(Lane.UNRELIABLE, bytes([16]) + rng.randbytes(rng.randrange(80)))
        game.run(1 / 60)
    assert ada.error is None or isinstance(ada.error, Disconnected)
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
