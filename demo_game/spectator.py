"""The spectator: a second link to the same arena, on which the server tells everything.

The map of the whole arena is drawn from it. What is grey there is missing in the player's own
world, which comes over the player's own link: neither is guessed from the other.
"""

import threading

import netcode as nc
from demo_game.game import GAME, Bullet, Crystal, Enter, Rock, Ship

KINDS: tuple[type[nc.Entity], ...] = (Ship, Bullet, Rock, Crystal)
NAMES = ("ships", "shots", "rocks", "crystals")


class Spectator:
    """Watches a player through a client of its own; joins without making anybody wait."""

    def __init__(self, url: str, name: str, watch: int) -> None:
        self.client = nc.connect(url, GAME, name=name)
        self.client.start()
        self._watch = watch
        self._entered = False
        self.error = ""
        """Why there is nothing to see, for people; empty while there is no reason."""

    @property
    def ready(self) -> bool:
        """Whether there is something to see."""
        return self._entered and not self.error

    @property
    def world(self) -> nc.World:
        """Everything in the arena."""
        return self.client.world

    def update(self) -> None:
        """To be called every frame."""
        if self.error:
            return
        try:
            if self.client.joined and not self._entered:
                self.client.send(Enter(watch=self._watch))
                self._entered = True
            self.client.update()
        except nc.NetcodeError as error:
            self.error = str(error)

    def close(self, *, wait: bool) -> None:
        """Leave the arena; without ``wait`` the goodbye is said while the frames go on."""
        if wait:
            self.client.close()
        else:
            threading.Thread(target=self.client.close, name="spectator leaves").start()


def knows(world: nc.World, entity: nc.Entity) -> bool:
    """Whether this world, too, holds an entity of another machine's."""
    return world.table(type(entity)).by_handle(entity.handle) is not None


def census(everything: nc.World, own: nc.World) -> list[tuple[str, int, int]]:
    """For each class its name, how many the player knows of, and how many there are."""
    return [
        (name, sum(knows(own, entity) for entity in everything[kind]), len(everything[kind]))
        for kind, name in zip(KINDS, NAMES, strict=True)
    ]
