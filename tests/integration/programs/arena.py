"""The game of the process tests: ships that thrust."""

import netcode as nc


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    name = nc.Text(max_bytes=24)


class Steer(nc.Input):
    thrust = nc.Bool()


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += 60 * step.dt * steer.thrust


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: fly})
