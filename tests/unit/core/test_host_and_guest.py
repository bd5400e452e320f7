"""Host and guest: what is refused at once, and when they want to be called."""

from typing import Any

import pytest

import netcode as nc
from netcode.core import host as host_module
from netcode.core.guest import Guest
from netcode.core.host import MAX_SEED, Host
from netcode.errors import WireError
from netcode.testing import ManualClock, SteppedClient, Stepper
from netcode.transports.loopback import loopback_pair
from netcode.wire.packets import (
    LAG_STEPS,
    InputPacket,
    decode_inputs,
    encode_inputs,
    encode_state_header,
)
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


# -- what a client may claim and how often -------------------------------------------------------


def forged(game: Stepper, client: SteppedClient, tick: int, lag: float = 0.0) -> bytes:
    """An input packet as a client of its own making might send it; ``lag`` is in seconds."""
    client.guest._packet += 1
    packet = InputPacket(
        sequence=client.guest._packet,
        heard=False,
        newest_state=0,
        window=0,
        newest_tick=tick,
        inputs=[tuple(kind() for kind in game.host.protocol.inputs)],
        lags=[round(lag * 60 * LAG_STEPS)],
    )
    return encode_inputs(packet, game.host.world)


def alone(weather: str = "clean", **options: Any) -> tuple[Stepper, SteppedClient]:
    """A client that sends only what the test sends."""
    game = begin(**options)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    ada.stalled = True
    ada.guest._next_input_at = 1e9
    return game, ada


def test_a_packet_too_many_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    game, ada = alone()
    read = 0

    def count(*arguments: Any) -> InputPacket:
        nonlocal read
        read += 1
        return decode_inputs(*arguments)

    monkeypatch.setattr(host_module, "decode_inputs", count)
    assert ada.guest.link is not None
    data = forged(game, ada, game.host.tick + 5)
    for _ in range(2_000):
        ada.guest.link.send_datagram(data)
    game.run(0.1)
    assert read < 100
    assert game.server.stats.refused_inputs > 1_500


@pytest.mark.parametrize("forge", [False, True])
def test_a_forged_tick_does_not_widen_what_is_believed_of_a_lag(forge: bool) -> None:
    game, ada = alone()
    assert ada.guest.link is not None
    for n in range(30):
        far = 5_000 if forge and n == 5 else 3
        ada.guest.link.send_datagram(forged(game, ada, game.host.tick + far, lag=0.4))
        game.run(1 / 30)
    assert game.player_of(ada).lag(3 / 60, 0.4) / 60 < 0.25


def test_a_state_packet_from_the_end_of_time_is_malformed() -> None:
    game = begin()
    ada = game.join("Ada")
    game.host.on_join.append(lambda player: setattr(player, "send_datagram", bool))
    game.run_until(lambda: ada.joined, within=5)
    assert not ada.guest._receiver.heard
    header = encode_state_header(1, 0xFFFFFFFF - 0xFFFFFFFF % 3, 0, 1, False, 0, None, 0.0)
    with pytest.raises(WireError, match="last but few"):
        ada.guest._datagram(header + b"\xff")


@pytest.mark.parametrize("rate", [10, 20, 60, 240])
def test_no_more_input_packets_go_out_than_were_said(rate: int) -> None:
    game = begin(tick_rate=rate, broadcast_rate=10)
    ada = enter(game, "Ada")
    before = ada.guest._packet
    game.run(5.0)
    assert 20 * 5 <= ada.guest._packet - before <= 31 * 5


@pytest.mark.parametrize("rate", [0, 241, 1_000])
def test_a_tick_rate_that_inputs_cannot_follow_is_refused(rate: int) -> None:
    with pytest.raises(nc.UsageError, match="tick_rate"):
        begin(tick_rate=rate)
