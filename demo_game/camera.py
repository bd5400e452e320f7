"""The camera: which part of the arena is on the screen, and where."""

import math
import random

VIEW_WIDTH, VIEW_HEIGHT = 1280.0, 720.0
"""World units that are seen at most, however large the window: nobody sees further by buying a
larger screen, and the server's interest radius can be chosen to fit."""

FAR_HEIGHT = 2160.0
"""Units from top to bottom while the whole radius of view is shown: the circle at which things
leave it, as far as the camera looks ahead, and a margin. Nobody sees more by it: what lies beyond
the radius is not told."""

LOOK_AHEAD = 0.22
"""Seconds of flight by which the camera looks ahead of the ship."""
MAX_AHEAD = 90.0
"""Units. Together with half the view's diagonal it stays below `game.VIEW_RADIUS`."""
SWAY = 3.0
"""How fast the look ahead follows a turn, per second."""
GLIDE = 5.0
"""How fast the camera moves to another place when there is no ship to follow, per second."""


class Camera:
    """Follows a place in the arena. ``zoom`` is pixels per unit."""

    def __init__(self) -> None:
        self.x = self.y = 0.0
        self.zoom = 1.0
        self.width, self.height = int(VIEW_WIDTH), int(VIEW_HEIGHT)
        self.far = False
        """Whether the whole radius of view is shown; takes effect with `resize`."""
        self.aside = 0.0
        """Units by which what is followed stands to the right of the middle."""
        self._ahead_x = self._ahead_y = 0.0
        self._shake = 0.0
        self._at = (0.0, 0.0)
        self._rng = random.Random(0)

    def resize(self, width: int, height: int) -> None:
        """The window has this many pixels now."""
        self.width, self.height = max(1, width), max(1, height)
        if self.far:
            self.zoom = min(self.width, self.height) / FAR_HEIGHT
        else:
            self.zoom = max(self.width / VIEW_WIDTH, self.height / VIEW_HEIGHT)

    def follow(self, x: float, y: float, vx: float, vy: float, dt: float) -> None:
        """Keep a ship in the middle, a little behind where it flies."""
        share = min(1.0, SWAY * dt)
        speed = math.hypot(vx, vy)
        scale = LOOK_AHEAD * min(1.0, MAX_AHEAD / max(1e-6, speed * LOOK_AHEAD))
        self._ahead_x += (vx * scale - self._ahead_x) * share
        self._ahead_y += (vy * scale - self._ahead_y) * share
        self._at = (x, y)
        self._settle(dt)

    def rest(self, x: float, y: float, dt: float) -> None:
        """Glide to a place and stay there."""
        share = min(1.0, GLIDE * dt)
        at_x, at_y = self._at
        self._at = (at_x + (x - at_x) * share, at_y + (y - at_y) * share)
        self._ahead_x -= self._ahead_x * share
        self._ahead_y -= self._ahead_y * share
        self._settle(dt)

    def shake(self, strength: float) -> None:
        """Something heavy happened near: ``strength`` in units."""
        self._shake = min(14.0, self._shake + strength)

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the arena is on the screen, in pixels."""
        return (
            (x - self.x) * self.zoom + self.width / 2,
            (y - self.y) * self.zoom + self.height / 2,
        )

    def arena(self, place: tuple[int, int]) -> tuple[float, float]:
        """Which place of the arena is at a pixel."""
        return (
            (place[0] - self.width / 2) / self.zoom + self.x,
            (place[1] - self.height / 2) / self.zoom + self.y,
        )

    def sees(self, x: float, y: float, margin: float) -> bool:
        """Whether a thing that reaches ``margin`` units around its place is on the screen."""
        return (
            abs(x - self.x) * self.zoom < self.width / 2 + margin * self.zoom
            and abs(y - self.y) * self.zoom < self.height / 2 + margin * self.zoom
        )

    def _settle(self, dt: float) -> None:
        self._shake *= max(0.0, 1.0 - 7.0 * dt)
        self.x = self._at[0] + self._ahead_x - self.aside + self._rng.uniform(-1, 1) * self._shake
        self.y = self._at[1] + self._ahead_y + self._rng.uniform(-1, 1) * self._shake
