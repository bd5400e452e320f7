"""The game that `feel` plays: a pilot, a watcher who shoots, and targets that reverse at random.

All speeds are the demo's: 430 units a second, per second, of thrust, and at most 380 a second. A
unit is a pixel of its window.
"""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import netcode as nc
from netcode.core.host import MAX_REWIND
from netcode.core.player import Player
from netcode.play.prediction import Owned
from netcode.testing import FRAME, SteppedClient, Stepper
from netcode.transports.link_model import Conditions

THRUST = 430.0
TOP_SPEED = 380.0
DRAG = 0.35
RADIUS = 15.0
ARENA = 2000.0
TICK_RATE = 60.0
RESOLUTION = 1 / 480
"""Seconds by which the clock moves: what a packet's time of arrival is rounded to."""

TARGETS, CROSSING = 8, 4
REVERSE_SECONDS = (0.3, 1.5)
"""A target reverses its thrust after so long, at random."""
SETTLE_SECONDS = 12.0
"""Before anything is measured: joining, and the clocks' first look at the line."""
SHOOT_EVERY = 12
"""Frames from one shot to the next."""
PRESS_EVERY = (20, 60)
"""Frames from one key press of the pilot to the next."""
PATIENCE = 20.0
"""Seconds of silence after which a line is given up: the recorded one stalls for longer than the
2.5 s after which a game would end the session."""
STALLED = 0.1
"""A display that moves by less than this share of the true step stands still."""
SLOWEST = 60.0
"""Units a second above which a target counts as moving."""


class Ship(nc.Entity):
    """The pilot, the watcher, and the targets."""

    x = nc.Float(-ARENA, ARENA, step=0.05)
    y = nc.Float(-ARENA, ARENA, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)
    vy = nc.Float(-400, 400, step=0.1)
    heading = nc.Angle(bits=10)
    presses = nc.Int(0, 1 << 20)
    shots = nc.Int(0, 1 << 20, only_owner=True)
    aim_x = nc.Float(-ARENA, ARENA, step=0.05, only_owner=True)
    aim_y = nc.Float(-ARENA, ARENA, step=0.05, only_owner=True)


class Steer(nc.Input):
    """The pilot's and the watcher's keys and mouse."""

    turn = nc.Int(-1, 1)
    thrust = nc.Int(-1, 1)
    press = nc.Int(0, 1 << 20)
    """The number of the newest key press."""
    fire = nc.Bool(edge=True)
    aim_x = nc.Float(-ARENA, ARENA, step=0.05)
    aim_y = nc.Float(-ARENA, ARENA, step=0.05)


def push(ship: Ship, thrust: float, dt: float) -> None:
    """Fly for ``dt`` seconds along the heading; the arena's edge turns ships back."""
    vx = ship.vx + math.cos(ship.heading) * thrust * THRUST * dt
    vy = ship.vy + math.sin(ship.heading) * thrust * THRUST * dt
    kept = 1.0 - DRAG * dt
    speed = math.hypot(vx, vy) * kept
    if speed > TOP_SPEED:
        kept *= TOP_SPEED / speed
    ship.vx, ship.vy = vx * kept, vy * kept
    ship.x += ship.vx * dt
    ship.y += ship.vy * dt
    if abs(ship.x) > ARENA - 10:
        ship.vx = -math.copysign(ship.vx, ship.x)
    if abs(ship.y) > ARENA - 10:
        ship.vy = -math.copysign(ship.vy, ship.y)


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    """The same code on both ends."""
    ship.heading += steer.turn * 3.7 * step.dt
    push(ship, steer.thrust, step.dt)
    ship.presses = max(ship.presses, steer.press)
    ship.shots += steer.fire
    ship.aim_x, ship.aim_y = steer.aim_x, steer.aim_y


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: fly})

Weather = str | Conditions | tuple[Conditions, Conditions]


@dataclass(slots=True)
class Figures:
    """What was seen."""

    own: list[float] = field(default_factory=list)
    """Seconds from a key press to the own screen."""
    other: list[float] = field(default_factory=list)
    """And to another player's."""
    errors: list[float] = field(default_factory=list)
    """Of each target in each frame: units from the true path at the display tick."""
    shown_bends: list[float] = field(default_factory=list)
    """Squares of second differences of displayed paths."""
    true_bends: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Interpolation delay in each frame, in seconds."""
    longest_stall: int = 0
    """Frames."""
    shots: int = 0
    agreed: int = 0
    """Shots that the server judged as the shooter had seen them."""
    leads: list[float] = field(default_factory=list)


class Game:
    """A host with its targets. `Watch` and `Pilot` play on it."""

    def __init__(self, seed: int, **options: float) -> None:
        self.stepper = Stepper(GAME, seed=seed, resolution=RESOLUTION, **options)
        self.rng = random.Random(seed)
        self.paths: dict[int, deque[tuple[float, float, float]]] = {}
        """By handle: x, y and speed at each of the last ticks."""
        self.verdicts: dict[int, tuple[bool, ...]] = {}
        """By number of the shot: which of the crossing targets the server found hit."""
        self._shots: dict[int, int] = {}
        self.host = self.stepper.host
        self.host.on_join.append(self._join)
        self.host.on_tick.append(self._tick)
        self.targets: list[Ship] = []
        self.crossing: list[Ship] = []
        self._thrust: dict[int, tuple[float, float]] = {}

    def join(self, name: str, weather: Weather) -> SteppedClient:
        """A client whose line is not given up soon."""
        client = self.stepper.join(name, weather)
        assert client.guest.link is not None
        client.guest.link.liveness.silence_limit = PATIENCE
        return client

    def add_targets(self) -> None:
        """Targets that reverse, and targets that cross the view at full speed."""
        world, rng = self.host.world, self.rng
        for number in range(TARGETS):
            self.targets.append(
                world.spawn(Ship, x=0.0, y=200.0 * number - 800, heading=rng.uniform(-0.4, 0.4))
            )
        for number in range(CROSSING):
            ship = world.spawn(Ship, x=rng.uniform(-1500, 1500), y=300.0 + 100 * number)
            ship.vx = TOP_SPEED
            self.crossing.append(ship)
        self._thrust = {ship.handle: (0.0, 1.0) for ship in self.targets}

    def _join(self, player: Player) -> None:
        assert player.connection.link is not None
        player.connection.link.liveness.silence_limit = PATIENCE
        player.control(self.host.world.spawn(Ship, x=-100.0 * player.id, y=-100.0))

    def _tick(self, step: nc.Step) -> None:
        now = step.tick * step.dt
        for ship in self.targets:
            until, thrust = self._thrust[ship.handle]
            if now >= until:
                until, thrust = now + self.rng.uniform(*REVERSE_SECONDS), -thrust
                self._thrust[ship.handle] = until, thrust
            # Long stretches in one direction would end at the arena's edge.
            inwards = -math.copysign(1.0, ship.x) if abs(ship.x) > 1500 else thrust
            push(ship, inwards, step.dt)
        for ship in self.crossing:
            ship.x += ship.vx * step.dt
            if abs(ship.x) > 1800:
                ship.vx = -math.copysign(TOP_SPEED, ship.x)
        for ship in (*self.targets, *self.crossing):
            path = self.paths.setdefault(ship.handle, deque(maxlen=400))
            path.append((ship.x, ship.y, math.hypot(ship.vx, ship.vy)))
        for player in list(self.host.guests):
            self._judge(player)

    def _judge(self, player: Player) -> None:
        [ship] = player.entities
        assert isinstance(ship, Ship)
        if ship.shots == self._shots.get(player.id, 0):
            return
        self._shots[player.id] = ship.shots
        with self.host.rewind(player) as past:
            ships = past[Ship]
            self.verdicts[ship.shots] = tuple(
                math.hypot(ships.x[t._row] - ship.aim_x, ships.y[t._row] - ship.aim_y) < RADIUS
                for t in self.crossing
            )

    def true_place(self, handle: int, tick: float) -> tuple[float, float, float] | None:
        """Where a target was at a tick, and how fast; None if that is forgotten."""
        path = self.paths[handle]
        newest = self.host.tick
        at = len(path) - 1 - (newest - math.floor(tick))
        if at < 0 or at + 1 >= len(path):
            return None
        share = tick - math.floor(tick)
        (x0, y0, speed), (x1, y1, _) = path[at], path[at + 1]
        return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, speed


class Pilot:
    """Flies with random reversals, and presses a key now and then."""

    def __init__(self, game: Game, client: SteppedClient, rng: random.Random) -> None:
        self.game, self.client, self.rng = game, client, rng
        self.pressed_at: dict[int, float] = {}
        """By number of the press: when."""
        self._presses = 0
        self._next_press = 0
        self._frame = 0
        self._thrust, self._until = 1, 0
        self._turn_until = 0
        self._turned_at: float | None = None
        self._heading = 0.0

    def begin(self) -> int:
        """Measure from now on; the number of the newest key press."""
        self._turned_at = None
        return self._presses

    def steer(self, figures: Figures | None) -> Steer:
        """The input of this frame, after a look at what the frame before showed."""
        now = self.game.stepper.clock.now
        own = self.client.own(Ship)
        turned = own is not None and own.heading != self._heading
        if turned and figures is not None and self._turned_at is not None:
            figures.own.append(now - FRAME - self._turned_at)
            self._turned_at = None
        self._frame += 1
        if self._frame >= self._until:
            self._thrust = -self._thrust
            self._until = self._frame + self.rng.randint(20, 80)
        press = self._frame >= self._next_press
        if press:
            self._presses += 1
            self._next_press = self._frame + self.rng.randint(*PRESS_EVERY)
            # The key went down at some moment since the last frame read the keys.
            self.pressed_at[self._presses] = now - self.rng.uniform(0.0, FRAME)
            if own is not None and self._frame > self._turn_until + 10:
                self._turned_at, self._heading = self.pressed_at[self._presses], own.heading
                self._turn_until = self._frame + 12
        turn = 1 if self._frame < self._turn_until else 0
        return Steer(turn=turn, thrust=self._thrust, press=self._presses)


class Watcher:
    """Looks at everything in every frame, and shoots at what crosses."""

    def __init__(self, game: Game, client: SteppedClient, rng: random.Random) -> None:
        self.game, self.client, self.rng = game, client, rng
        self._frame = 0
        self._shots = 0
        self._seen_hits: dict[int, tuple[bool, ...]] = {}
        self._aim = (0.0, 0.0)
        self._offset = 0.0
        self._last: dict[int, list[tuple[float, float, float]]] = {}
        self._stalls: dict[int, int] = {}
        self._presses = 0

    def steer(self) -> Steer:
        """Aim at a crossing target, in front of it, behind it or at it, and fire now and then."""
        self._frame += 1
        fire = False
        if self._frame % SHOOT_EVERY == 0:
            self._offset = self.rng.uniform(-2 * RADIUS, 2 * RADIUS)
        mark = self._shown(self.game.crossing[(self._frame // SHOOT_EVERY) % CROSSING])
        if mark is not None:
            fire = self._frame % SHOOT_EVERY == 6
            # As the input will read at both ends.
            self._aim = tuple(round(p / 0.05) * 0.05 for p in (mark.x + self._offset, mark.y))
        if fire:
            self._shots += 1
            self._seen_hits[self._shots] = tuple(
                (ship := self._shown(target)) is not None
                and math.hypot(ship.x - self._aim[0], ship.y - self._aim[1]) < RADIUS
                for target in self.game.crossing
            )
        return Steer(fire=fire, aim_x=self._aim[0], aim_y=self._aim[1])

    def begin(self, pilot: "Pilot") -> int:
        """Look from now on, at what happens from now on; the number of the first shot."""
        self._presses = pilot.begin()
        return self._shots + 1

    def _shown(self, target: Ship) -> Ship | None:
        return self.client.world.table(Ship).by_handle(target.handle)

    def look(self, figures: Figures, pilot: Pilot, pilots_ship: Ship) -> None:
        """Note what the frame shows."""
        display = self.client.guest.display
        assert display is not None
        assert display.seen is not None
        now = self.game.stepper.clock.now
        figures.delays.append(display.clock.display_lag)
        figures.leads.append(self.client.stats.lead)
        for target in self.game.targets:
            self._look_at(target, display.seen, figures)
        shown = self._shown(pilots_ship)
        while shown is not None and self._presses < shown.presses:
            self._presses += 1
            figures.other.append(now - pilot.pressed_at[self._presses])

    def _look_at(self, target: Ship, tick: float, figures: Figures) -> None:
        shown, handle = self._shown(target), target.handle
        true = self.game.true_place(handle, tick)
        if shown is None or true is None:
            self._last.pop(handle, None)
            return
        figures.errors.append(math.hypot(shown.x - true[0], shown.y - true[1]))
        past = self._last.setdefault(handle, [])
        past.append((shown.x, shown.y, true[2]))
        if len(past) > 3:
            past.pop(0)
        if len(past) >= 2:
            (x0, y0, _), (x1, y1, speed) = past[-2:]
            still = math.hypot(x1 - x0, y1 - y0) < STALLED * speed * FRAME
            run = self._stalls.get(handle, 0) + 1 if still and speed > SLOWEST else 0
            self._stalls[handle] = run
            figures.longest_stall = max(figures.longest_stall, run)
        if len(past) == 3:
            (x0, y0, _), (x1, y1, _), (x2, y2, _) = past
            figures.shown_bends.append((x2 - 2 * x1 + x0) ** 2 + (y2 - 2 * y1 + y0) ** 2)
            path = self.game.paths[handle]
            (x0, y0, _), (x1, y1, _), (x2, y2, _) = path[-3], path[-2], path[-1]
            figures.true_bends.append((x2 - 2 * x1 + x0) ** 2 + (y2 - 2 * y1 + y0) ** 2)

    def count_shots(self, figures: Figures, first: int) -> None:
        """Compare what was seen with what the server found, from shot ``first`` on."""
        for number, seen in self._seen_hits.items():
            if number >= first and number in self.game.verdicts:
                figures.shots += 1
                figures.agreed += seen == self.game.verdicts[number]


def play(
    weather: Weather,
    seconds: float,
    seed: int,
    *,
    plain: bool = False,
    settle: float = SETTLE_SECONDS,
) -> tuple[Figures, SteppedClient]:
    """A pilot and a watcher on lines of this weather, and what the watcher saw.

    ``plain`` shows what arrives, as it arrives, and judges shots by the present. Returns the
    figures and the pilot's guest.
    """
    game = Game(seed, max_rewind=0.0 if plain else MAX_REWIND)
    game.add_targets()
    ada, bob = game.join("Ada", weather), game.join("Bob", weather)
    ada.prediction = bob.prediction = ada.interpolation = bob.interpolation = not plain
    pilot = Pilot(game, ada, random.Random(seed + 1))
    watcher = Watcher(game, bob, random.Random(seed + 2))
    figures = Figures()
    measuring = False

    def inputs(client: SteppedClient) -> list[Steer]:
        if client is ada:
            return [pilot.steer(figures if measuring else None)]
        return [watcher.steer()]

    def ready() -> bool:
        return ada.own(Ship) is not None and bob.own(Ship) is not None

    game.stepper.run_until(ready, within=30.0, inputs=inputs)
    game.stepper.run(settle, inputs)
    measuring = True
    [ship] = game.stepper.player_of(ada).entities
    assert isinstance(ship, Ship)
    first_shot = watcher.begin(pilot)
    for _ in range(round(seconds / FRAME)):
        game.stepper.run(FRAME, inputs)
        watcher.look(figures, pilot, ship)
    watcher.count_shots(figures, first_shot)
    return figures, ada


def fly_alone(
    weather: Weather, seconds: float, seed: int, *, settle: float = SETTLE_SECONDS
) -> tuple[list[float], int]:
    """How far off the prediction was, in units, at each snapshot that said something else, and how
    many snapshots it was compared with."""
    game = Game(seed)
    ada = game.join("Ada", weather)
    pilot = Pilot(game, ada, random.Random(seed + 1))

    def inputs(guest: SteppedClient) -> list[Steer]:
        return [pilot.steer(None)]

    game.stepper.run_until(lambda: ada.own(Ship) is not None, within=30.0, inputs=inputs)
    game.stepper.run(settle, inputs)
    assert ada.guest.display is not None
    predictor = ada.guest.display.predictor
    surprises: list[float] = []
    snapshots = 0
    confirm = predictor.confirm

    def noted(tick: int, owned: Sequence[Owned], patience: int) -> None:
        nonlocal snapshots
        before = [(scratch.view.x, scratch.view.y) for scratch in predictor.mine]  # type: ignore[attr-defined]
        confirm(tick, owned, patience)
        after = [(scratch.view.x, scratch.view.y) for scratch in predictor.mine]  # type: ignore[attr-defined]
        snapshots += 1
        moved = max(math.dist(*pair) for pair in zip(before, after, strict=True))
        if moved > 0:
            surprises.append(moved)

    predictor.confirm = noted  # type: ignore[method-assign]
    game.stepper.run(seconds, inputs)
    return surprises, snapshots
