"""What a crowd plays."""

import netcode as nc


class Ship(nc.Entity):
    x = nc.Float(-1e6, 1e6, step=0.05)


class Steer(nc.Input):
    thrust = nc.Bool()


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += 10 * step.dt * steer.thrust


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: fly})
