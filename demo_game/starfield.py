"""What lies behind the arena: a nebula, three layers of stars, the grid and the walls."""

import numpy as np
import pygame

from demo_game.camera import Camera
from demo_game.game import ARENA
from demo_game.palette import CYAN, GRID, INK, Colour, mix
from demo_game.sprites import glow

LAYERS = ((0.06, 110, 1), (0.16, 60, 1), (0.34, 26, 2))
"""Parallax (share of the camera's movement), stars per million pixels, their size."""
GRID_STEP = 250
NEBULA_DRIFT = 0.03
"""The nebula's parallax; over the whole arena it drifts by `NEBULA_MARGIN` to each side."""
NEBULA_MARGIN = int(ARENA * NEBULA_DRIFT) + 4
NEBULA_CLOUDS: tuple[Colour, ...] = ((30, 30, 92), (12, 62, 84), (70, 22, 74))


class Starfield:
    """The background for one size of the window."""

    def __init__(self, width: int, height: int, seed: int = 7) -> None:
        self._size = (width, height)
        rng = np.random.default_rng(seed)
        self._nebula = _nebula(width + 2 * NEBULA_MARGIN, height + 2 * NEBULA_MARGIN, rng)
        self._layers = []
        for parallax, density, size in LAYERS:
            count = max(1, int(density * width * height / 1e6))
            places = rng.uniform((0, 0), (width, height), (count, 2))
            lights = [_star(size, float(brightness)) for brightness in rng.beta(1.5, 3, count)]
            self._layers.append((parallax, places, lights))

    def draw(self, screen: pygame.Surface, camera: Camera) -> None:
        """Cover the screen: nothing of the last frame is left."""
        width, height = self._size
        drift_x, drift_y = camera.x * NEBULA_DRIFT, camera.y * NEBULA_DRIFT
        screen.blit(self._nebula, (-NEBULA_MARGIN - int(drift_x), -NEBULA_MARGIN - int(drift_y)))
        for parallax, places, lights in self._layers:
            shift = np.array((camera.x, camera.y)) * parallax * camera.zoom
            moved = np.floor((places - shift) % (width, height)).astype(int).tolist()
            for light, place in zip(lights, moved, strict=True):
                screen.blit(light, place, None, pygame.BLEND_RGB_ADD)

    def draw_arena(self, screen: pygame.Surface, camera: Camera) -> None:
        """The grid, and the walls where they are near."""
        left, top = camera.screen(-ARENA, -ARENA)
        right, bottom = camera.screen(ARENA, ARENA)
        width, height = self._size
        steps = [k * GRID_STEP - ARENA for k in range(1, int(2 * ARENA / GRID_STEP))]
        for step in steps:
            x, y = camera.screen(step, step)
            if 0 <= x < width:
                pygame.draw.line(screen, GRID, (x, max(0, top)), (x, min(height, bottom)))
            if 0 <= y < height:
                pygame.draw.line(screen, GRID, (max(0, left), y), (min(width, right), y))
        for depth, share in ((9, 0.12), (6, 0.2), (3, 0.35), (1, 0.9)):
            pygame.draw.rect(
                screen,
                mix(INK, CYAN, share),
                pygame.Rect(
                    left - depth, top - depth, right - left + 2 * depth, bottom - top + 2 * depth
                ),
                width=depth,
            )


def _star(size: int, brightness: float) -> pygame.Surface:
    tint = mix((150, 180, 255), (255, 236, 214), brightness)
    if size == 1:
        dot = pygame.Surface((1, 1))
        dot.fill(mix((0, 0, 0), tint, 0.25 + 0.6 * brightness))
        return dot
    return glow(3, tint, round(0.5 + brightness, 1))


def _nebula(width: int, height: int, rng: np.random.Generator) -> pygame.Surface:
    """Soft clouds: random numbers on a coarse raster, enlarged smoothly."""
    total = np.tile(np.array(INK, dtype=float), (160, 100, 1))
    for colour in NEBULA_CLOUDS:
        cloud = np.zeros((160, 100))
        for cells, weight in ((5, 0.62), (10, 0.28), (24, 0.1)):
            noise = (rng.random((cells, cells)) * 255).astype(np.uint8)
            raster = pygame.surfarray.make_surface(np.repeat(noise[..., None], 3, axis=2))
            smooth = pygame.transform.smoothscale(raster, (160, 100))
            cloud += weight * pygame.surfarray.array3d(smooth)[..., 0] / 255.0
        total += np.clip(cloud - 0.46, 0, 1)[..., None] * 1.35 * np.array(colour)
    small = pygame.surfarray.make_surface(np.clip(total, 0, 255).astype(np.uint8))
    # In two steps: enlarging at once would show the raster.
    middle = pygame.transform.smoothscale(small, (width // 3, height // 3))
    return pygame.transform.smoothscale(middle, (width, height))
