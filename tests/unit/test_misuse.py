"""What a newcomer gets wrong raises at once, and says what to do."""

from collections.abc import Callable
from typing import Any

import pytest

import netcode as nc
from netcode.testing import Stepper


class Dot(nc.Entity):
    x = nc.Float(0, 10, step=0.1)


class Move(nc.Input):
    right = nc.Bool()


class Say(nc.Message):
    text = nc.Text(max_bytes=20)


class Stranger(nc.Message):
    pass


GAME = nc.Protocol(entities=[Dot], inputs=[Move], messages=[Say])
URL = "ws://localhost:8080"


def walk_without_step(dot: Dot, move: Move) -> None: ...


Mistake = Callable[[], Any]
MISTAKES: dict[str, tuple[Mistake, str]] = {
    "a server without a protocol": (lambda: nc.Server([Dot]), "Protocol first"),  # type: ignore[arg-type]
    "a number for interest": (
        lambda: nc.Server(GAME, interest=600),  # type: ignore[arg-type]
        r"nc\.Radius\(600\)",
    ),
    "a port for a url": (lambda: nc.connect(8080, GAME), "ws://localhost:8080"),  # type: ignore[arg-type]
    "a number for a name": (lambda: nc.connect(URL, GAME, name=3), "a name is a text"),  # type: ignore[arg-type]
    "an update before joining": (lambda: nc.connect(URL, GAME).update(), "with nc.connect"),
    "a message before joining": (lambda: nc.connect(URL, GAME).send(Say()), "with nc.connect"),
    "a decorator without its class": (
        lambda: nc.Server(GAME).on(lambda player, message: None),  # type: ignore[arg-type]
        r"@server\.on\(Chat\)",
    ),
    "a handler for a stranger": (
        lambda: nc.connect(URL, GAME).on(Stranger),
        r"Protocol\(messages=\[\.\.\.\]\)",
    ),
    "a class for a list": (lambda: nc.Protocol(entities=Dot), r"entities=\[Dot\]"),  # type: ignore[arg-type]
    "a function for a dict": (
        lambda: nc.Protocol(entities=[Dot], inputs=[Move], simulate=walk_without_step),  # type: ignore[arg-type]
        r"\{Ship: fly\}",
    ),
    "a simulate function without its step": (
        lambda: nc.Protocol(
            entities=[Dot],
            inputs=[Move],
            simulate={Dot: walk_without_step},  # type: ignore[dict-item]
        ),
        "three arguments",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_raises_at_once_and_names_the_fix(mistake: str) -> None:
    make, fix = MISTAKES[mistake]
    with pytest.raises(nc.UsageError, match=fix):
        make()


@pytest.mark.parametrize("odd", ["hi", None, Say, 3])
def test_only_messages_are_sent(odd: Any) -> None:
    game = Stepper(GAME)
    ada = game.join("Ada")
    game.run(0.5)
    with pytest.raises(nc.UsageError, match=r"Chat\(text=…\)"):
        ada.send(odd)
    with pytest.raises(nc.UsageError, match=r"Chat\(text=…\)"):
        game.player_of(ada).send(odd)


def test_a_request_without_a_handler_says_which_to_write() -> None:
    game = Stepper(GAME)
    ada = game.join("Ada")
    game.run(0.5)
    reply = ada.request(Say(text="?"))
    game.run(0.5)
    with pytest.raises(nc.NoReply, match=r"@server\.on\(Say\)"):
        reply.result(timeout=0)
