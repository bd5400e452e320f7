"""The game's declarations: what server, players and bots agree on, and how ships and shots fly.

Everything here runs on both ends. The rules that only the server knows are in `simulation`.
"""

import enum
import math
from typing import TypeAlias

import netcode as nc

ARENA = 2000.0
"""Half the side of the square arena, in world units. A unit is a pixel of a 1280 × 720 window."""

SHIP_RADIUS = 15.0
ROCK_RADII = (0.0, 17.0, 31.0, 54.0)
"""By the rock's grade, 1 (small) to 3 (large)."""
CRYSTAL_RADIUS = 9.0
BULLET_RADIUS = 4.0

MAX_SPEED = 380.0
"""Below the declared range of ``vx`` and ``vy``, so that bumps never leave it."""
TURN_RATE = 3.7
"""Radians per second."""
THRUST = 430.0
"""Units per second, per second."""
BRAKE = 1.9
DRAG = 0.35
"""Shares of the speed lost per second, with and without the brake."""
WALL_BOUNCE = 0.55
"""Share of the speed that a ship keeps when the arena's edge throws it back."""

RELOAD_TICKS = 9
MAX_AMMO = 60
AMMO_RESERVE = 30
"""Ammunition grows back by itself to this much; crystals give more."""
AMMO_EVERY = 26
"""Ticks in which it grows back by one."""
MAX_HULL = 100
BULLET_SPEED = 560.0
"""Relative to the ship that fires."""
BULLET_TICKS = 66
MUZZLE = SHIP_RADIUS + 6.0
"""From the middle of a ship to where its shots begin."""

FADE = 0.25
"""Seconds in which things come into view, and go out of it."""

VIEW_RADIUS = 900.0
"""Ships, shots, rocks and crystals so near to a player's ship are told to the player: half the
diagonal of what a window shows (734 units), and as far as the camera looks ahead."""
VIEW_LEAVE = 980.0
"""A little further, or things at the edge would come and go."""
SLOWER = {600.0: 2, 840.0: 4}
"""Told at every second broadcast beyond 600 units, at the window's left and right edge, and at
every fourth where no window shows it."""

TEXT_BYTES = 255
"""The longest text that a field takes."""

COLOURS = 8
"""Ships' liveries; the palette says what they look like."""


class Ship(nc.Entity, fade=FADE):
    """A player's ship. A new one is spawned after each destruction."""

    x = nc.Float(-ARENA, ARENA, step=0.05)
    y = nc.Float(-ARENA, ARENA, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)
    vy = nc.Float(-400, 400, step=0.1)
    heading = nc.Angle(bits=10)
    hull = nc.Int(0, MAX_HULL, default=MAX_HULL)
    name = nc.Text(max_bytes=24)
    player = nc.Int(0, 65_535)
    colour = nc.Int(0, COLOURS - 1)
    thrusting = nc.Bool()
    shielded = nc.Bool()
    ammo = nc.Int(0, MAX_AMMO, default=30, only_owner=True)
    """Nobody else's client is ever told how many shots are left, so none can show it."""
    reload = nc.Int(0, RELOAD_TICKS, only_owner=True)


class Bullet(nc.Entity, predicted=True):
    """A shot on its way. It never turns, so it costs nothing on the wire once it is known.

    How long it has flown is not told: the server remembers when a shot ends, and the player who
    fired it has seen it begin. A counter would cost bits in every broadcast.
    """

    x = nc.Float(-ARENA, ARENA, step=0.1)
    y = nc.Float(-ARENA, ARENA, step=0.1)
    vx = nc.Float(-1000, 1000, step=0.5)
    vy = nc.Float(-1000, 1000, step=0.5)
    player = nc.Int(0, 65_535)
    colour = nc.Int(0, COLOURS - 1)


class Rock(nc.Entity, fade=FADE):
    """A drifting rock. Shot, it breaks into smaller ones, the smallest into crystals."""

    x = nc.Float(-ARENA, ARENA, step=0.1)
    y = nc.Float(-ARENA, ARENA, step=0.1)
    vx = nc.Float(-200, 200, step=0.5)
    vy = nc.Float(-200, 200, step=0.5)
    grade = nc.Int(1, 3)
    hull = nc.Int(0, 3)


class Crystal(nc.Entity, fade=FADE):
    """Lies still until a ship flies over it. Idle entities cost nothing on the wire."""

    x = nc.Float(-ARENA, ARENA, step=0.5)
    y = nc.Float(-ARENA, ARENA, step=0.5)
    worth = nc.Int(1, 3)


Thing: TypeAlias = Ship | Bullet | Rock | Crystal
"""What has a place in the arena, and is told to those who are near."""


class Pilot(nc.Entity):
    """One line of the score board. It has no position, so everybody sees every pilot.

    ``radar_x`` and ``radar_y`` say where the pilot's ship is to the nearest 1/256 of the arena:
    enough for the minimap, while the ship itself is known only to those who are near it.
    """

    player = nc.Int(0, 65_535)
    name = nc.Text(max_bytes=24)
    colour = nc.Int(0, COLOURS - 1)
    score = nc.Int(0, 65_535)
    kills = nc.Int(0, 999)
    ping = nc.Int(0, 999)
    flying = nc.Bool()
    radar_x = nc.Int(0, 255)
    radar_y = nc.Int(0, 255)


class Round(nc.Entity):
    """The clock of the round, one for all."""

    seconds = nc.Int(0, 3600)


class Steer(nc.Input):
    """What a player wants during one tick."""

    turn = nc.Int(-1, 1)
    thrust = nc.Bool()
    brake = nc.Bool()
    fire = nc.Bool(edge=True)


class Enter(nc.Message):
    """The first thing that a client says: it comes to fly, or to watch."""

    watch = nc.Int(0, 65_535)
    """The player whom a spectator watches; 0 to fly."""


class Chat(nc.Message):
    """A line of chat. The server fills in who said it."""

    text = nc.Text(max_bytes=120)
    who = nc.Text(max_bytes=24)
    colour = nc.Int(0, COLOURS - 1)


class BlastKind(enum.Enum):
    """What a `Blast` looks like."""

    SPARK = "spark"
    ROCK = "rock"
    SHIP = "ship"
    CRYSTAL = "crystal"


class Blast(nc.Message, delivery=nc.UNRELIABLE, timed=True):
    """Something to look at, shown when the display reaches its tick. It may be lost: the state
    tells everything that matters."""

    kind = nc.Enum(BlastKind)
    x = nc.Float(-ARENA, ARENA, step=1)
    y = nc.Float(-ARENA, ARENA, step=1)
    colour = nc.Int(0, COLOURS - 1)
    grade = nc.Int(0, 3)


class Downed(nc.Message):
    """A ship was destroyed. ``by`` is empty if nobody shot it."""

    victim = nc.Text(max_bytes=24)
    victim_colour = nc.Int(0, COLOURS - 1)
    by = nc.Text(max_bytes=24)
    by_colour = nc.Int(0, COLOURS - 1)


class RoundOver(nc.Message):
    """The round has ended; the scores begin again."""

    winner = nc.Text(max_bytes=24)
    colour = nc.Int(0, COLOURS - 1)
    score = nc.Int(0, 65_535)


class Ask(nc.Message):
    """Why is this told, or not? One of the references is set. The answer is a `Why`."""

    ship = nc.Ref(Ship)
    bullet = nc.Ref(Bullet)
    rock = nc.Ref(Rock)
    crystal = nc.Ref(Crystal)


class Why(nc.Message):
    """What `nc.Server.explain` said of the last broadcast."""

    verdict = nc.Text(max_bytes=12, default="gone")
    reason = nc.Text(max_bytes=TEXT_BYTES, default="it is gone")
    rank = nc.Int(0, 65_535)
    """0 unless the budget was exceeded; so is ``urgency``."""
    urgency = nc.Float(0, 65_535, step=0.1)
    waited = nc.Int(0, 65_535)
    interval = nc.Int(1, 8)
    bits = nc.Text(max_bytes=TEXT_BYTES)
    """``"x=9 y=11"``: what each field took; see `questions.bits_of`."""


class AskFigures(nc.Message):
    """What is my state made of? The answer is `Figures`."""


class Figures(nc.Message):
    """What `nc.Server.state_stats` said: entities in the last broadcast, and bytes so far."""

    sent = nc.Int(0, 65_535)
    deferred = nc.Int(0, 65_535)
    unchanged = nc.Int(0, 65_535)
    culled = nc.Int(0, 65_535)
    budget = nc.Float(0, 1e6, step=1)
    """Bytes a second."""
    held_back = nc.Text(max_bytes=80)
    top = nc.Text(max_bytes=TEXT_BYTES)
    """``"Ship.x=5120 Rock.y=3002"``: bytes of the dearest fields; see `questions.bits_of`."""


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    """Move a ship by one tick. Runs on the server and, predicted, on the player's machine."""
    dt = step.dt
    heading, vx, vy = ship.heading, ship.vx, ship.vy
    if steer.turn:
        heading += steer.turn * TURN_RATE * dt
        ship.heading = heading
    if steer.thrust:
        vx += math.cos(heading) * THRUST * dt
        vy += math.sin(heading) * THRUST * dt
    ship.thrusting = steer.thrust
    kept = 1.0 - (BRAKE if steer.brake else DRAG) * dt
    speed = math.sqrt(vx * vx + vy * vy) * kept
    if speed > MAX_SPEED:
        kept *= MAX_SPEED / speed
    ship.x, ship.vx = _within_walls(ship.x + vx * kept * dt, vx * kept)
    ship.y, ship.vy = _within_walls(ship.y + vy * kept * dt, vy * kept)

    if step.tick % AMMO_EVERY == 0 and ship.ammo < AMMO_RESERVE:
        ship.ammo += 1
    reload = max(0, ship.reload - 1)
    if steer.fire and not reload and ship.ammo:
        reload = RELOAD_TICKS
        ship.ammo -= 1
        ship.shielded = False
        cos, sin = math.cos(heading), math.sin(heading)
        step.spawn(  # the player has it in this frame, the server a little later
            Bullet,
            x=ship.x + cos * MUZZLE,
            y=ship.y + sin * MUZZLE,
            vx=ship.vx + cos * BULLET_SPEED,
            vy=ship.vy + sin * BULLET_SPEED,
            player=ship.player,
            colour=ship.colour,
        )
    ship.reload = reload


def glide(bullet: Bullet, steer: Steer, step: nc.Step) -> None:
    """Move a shot by one tick, on both ends. Nothing steers it any more."""
    bullet.x += bullet.vx * step.dt
    bullet.y += bullet.vy * step.dt


def _within_walls(place: float, speed: float) -> tuple[float, float]:
    edge = ARENA - SHIP_RADIUS
    if place > edge:
        return edge, -abs(speed) * WALL_BOUNCE
    if place < -edge:
        return -edge, abs(speed) * WALL_BOUNCE
    return place, speed


GAME = nc.Protocol(
    entities=[Ship, Bullet, Rock, Crystal, Pilot, Round],
    inputs=[Steer],
    messages=[Enter, Chat, Blast, Downed, RoundOver, Ask, Why, AskFigures, Figures],
    simulate={Ship: fly, Bullet: glide},
)
