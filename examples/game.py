# game.py: shared by both ends
import math

import netcode as nc


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    y = nc.Float(-2000, 2000, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)
    vy = nc.Float(-400, 400, step=0.1)
    heading = nc.Angle(bits=10)
    hull = nc.Int(0, 100, default=100)
    name = nc.Text(max_bytes=24)
    ammo = nc.Int(0, 255, only_owner=True)


class Steer(nc.Input):
    turn = nc.Int(-1, 1)
    thrust = nc.Bool()


class Chat(nc.Message):  # reliable and ordered unless it says otherwise
    text = nc.Text(max_bytes=200)


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:  # the same code on both ends
    ship.heading += steer.turn * 3.0 * step.dt
    push = 200.0 * step.dt if steer.thrust else 0.0
    ship.vx = (ship.vx + math.cos(ship.heading) * push) * 0.995
    ship.vy = (ship.vy + math.sin(ship.heading) * push) * 0.995
    ship.x += ship.vx * step.dt
    ship.y += ship.vy * step.dt


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], messages=[Chat], simulate={Ship: fly})
