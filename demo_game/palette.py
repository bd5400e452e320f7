"""Colours and type: every colour and every size of letter on the screen comes from here."""

from functools import lru_cache

import pygame

Colour = tuple[int, int, int]

INK: Colour = (6, 9, 19)
"""The background, and the shadow under letters."""
GRID: Colour = (17, 25, 46)
PANEL = (13, 20, 38, 205)
HAIRLINE: Colour = (43, 58, 92)
FIELD: Colour = (20, 29, 52)
WHITE: Colour = (236, 242, 255)
SOFT: Colour = (158, 174, 207)
FAINT: Colour = (97, 113, 150)
CYAN: Colour = (88, 214, 255)
AMBER: Colour = (255, 189, 89)
CORAL: Colour = (255, 107, 107)
RED: Colour = (255, 64, 72)
MINT: Colour = (97, 232, 167)
VIOLET: Colour = (178, 139, 255)

LIVERIES: tuple[Colour, ...] = (
    CYAN,
    AMBER,
    CORAL,
    MINT,
    VIOLET,
    (255, 138, 206),
    (208, 232, 92),
    (122, 162, 255),
)
"""By a ship's colour number."""

GEMS: tuple[Colour, ...] = (MINT, MINT, (105, 196, 255), (255, 148, 226))
"""By a crystal's worth, 1 to 3."""

SMALL, BODY, LARGE, HUGE = 12, 15, 22, 62
"""Heights of letters in pixels of a 1280 × 720 window."""

SMOOTHED = 4
"""How much larger bold letters are drawn before they are reduced."""

FACES = "inter,opensans,notosans,segoeui,helveticaneue,ubuntu,dejavusans,arial"
"""Looked for in this order; pygame brings its own face where there is none of them."""


@lru_cache(maxsize=64)
def face(size: int, bold: bool = False) -> pygame.font.Font:
    """The font of this height. Bold is pygame's own face, the same on every system."""
    if bold:
        return pygame.font.Font(pygame.font.get_default_font(), size)
    path = _face_path()
    return pygame.font.Font(path, size) if path else pygame.font.Font(None, size)


@lru_cache(maxsize=1)
def _face_path() -> str | None:
    return pygame.font.match_font(FACES)


@lru_cache(maxsize=1024)
def lettering(
    text: str, size: int, colour: Colour, bold: bool = False, spacing: int = 0
) -> pygame.Surface:
    """The text as a surface with alpha. ``spacing`` pixels are added between the letters."""
    if bold:
        # Small bold letters are uneven; drawn large and reduced they are not.
        large = _line(face(size * SMOOTHED, True), text, colour, spacing * SMOOTHED)
        width, height = large.get_size()
        size_now = (max(1, round(width / SMOOTHED)), max(1, round(height / SMOOTHED)))
        return pygame.transform.smoothscale(large, size_now)
    return _line(face(size), text, colour, spacing)


def _line(font: pygame.font.Font, text: str, colour: Colour, spacing: int) -> pygame.Surface:
    if not spacing:
        return font.render(text, True, colour).convert_alpha()
    letters = [font.render(letter, True, colour).convert_alpha() for letter in text]
    width = sum(letter.get_width() + spacing for letter in letters)
    line = pygame.Surface((max(1, width - spacing), font.get_height()), pygame.SRCALPHA)
    x = 0
    for letter in letters:
        line.blit(letter, (x, 0))
        x += letter.get_width() + spacing
    return line


def mix(one: Colour, two: Colour, share: float) -> Colour:
    """Between two colours: ``share`` 0 is the first, 1 the second."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, two, strict=True))
    return r, g, b


def forget_fonts() -> None:
    """To be called when pygame's font module is closed and opened again."""
    face.cache_clear()
    lettering.cache_clear()
