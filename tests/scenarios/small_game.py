"""The game that the scenarios play: ships that steer, fire and talk."""

from typing import Any

import netcode as nc
from netcode.testing import SteppedClient, Stepper


class Ship(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.05)
    y = nc.Float(-1000, 1000, step=0.05)
    vx = nc.Float(-300, 300, step=0.1)
    heading = nc.Angle(bits=12)
    shots = nc.Int(0, 100_000)
    name = nc.Text(max_bytes=24)
    ammo = nc.Int(0, 255, only_owner=True)


class Rock(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.05)
    y = nc.Float(-1000, 1000, step=0.05)
    size = nc.Int(0, 1000)


class Steer(nc.Input):
    thrust = nc.Int(-1, 1)
    aim = nc.Float(-3.2, 3.2, step=0.01)
    fire = nc.Bool(edge=True)


class Chat(nc.Message):
    text = nc.Text(max_bytes=200)


class Ask(nc.Message):
    number = nc.Int(0, 1_000_000)


class Answer(nc.Message):
    number = nc.Int(0, 2_000_000)


class Note(nc.Message, delivery=nc.UNORDERED):
    number = nc.Int(0, 1_000_000)


class Spark(nc.Message, delivery=nc.UNRELIABLE):
    number = nc.Int(0, 1_000_000)


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.vx = max(-200.0, min(200.0, ship.vx + steer.thrust * 100.0 * step.dt))
    ship.x = max(-990.0, min(990.0, ship.x + ship.vx * step.dt))
    ship.heading = steer.aim
    ship.shots += steer.fire


GAME = nc.Protocol(
    entities=[Ship, Rock],
    inputs=[Steer],
    messages=[Chat, Ask, Answer, Note, Spark],
    simulate={Ship: fly},
)


def set_up(server: nc.ServerSide) -> None:
    """Whoever joins gets a ship, whoever leaves takes it along."""

    @server.on_join
    def join(player: nc.Player) -> None:
        ship = server.world.spawn(Ship, x=10.0 * player.id, name=player.name, ammo=50)
        player.control(ship)

    @server.on_leave
    def leave(player: nc.Player) -> None:
        for entity in player.entities:
            server.world.despawn(entity)


def begin(seed: int = 1, **options: Any) -> Stepper:
    """A running game."""
    game = Stepper(GAME, seed=seed, **options)
    set_up(game.server)
    return game


def enter(game: Stepper, name: str, weather: str | nc.Conditions = "clean") -> SteppedClient:
    """Let somebody join, and time pass until the own ship is on the screen."""
    guest = game.join(name, weather)
    game.run_until(lambda: guest.own(Ship) is not None, within=10.0)
    return guest


def own_ship(guest: SteppedClient) -> Ship:
    ship = guest.own(Ship)
    assert ship is not None
    return ship


def ship_of(game: Stepper, guest: SteppedClient) -> Ship:
    """The guest's ship in the host's world."""
    [ship] = game.player_of(guest).entities
    assert isinstance(ship, Ship)
    return ship


def seen(guest: SteppedClient, other: SteppedClient) -> Ship | None:
    """The other guest's ship as this one sees it, if it does."""
    return next((ship for ship in guest.world[Ship] if ship.name == other.name), None)


def full_worlds(game: Stepper) -> list[nc.World]:
    """What every guest has received last."""
    return [guest.authoritative for guest in game.clients if guest.error is None]


def contents(world: nc.World, *, hide: bool = True) -> dict[str, dict[int, dict[str, Any]]]:
    """The quantised world, by class and handle, without what only owners are told."""
    return {
        table.kind.__name__: {
            entity.handle: {
                field.name: tuple(field.encode(entity._get(field), world))
                if not isinstance(field, nc.Text)
                else entity._get(field)
                for field in table.fields
                if not (hide and field.only_owner)
            }
            for entity in table
        }
        for table in world.tables
    }
