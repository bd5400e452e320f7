"""Chat both ways, and requests with replies, over lines that lose."""

import pytest

import netcode as nc
from netcode.core.player import Player
from netcode.errors import Disconnected, NoReply, SendQueueFull
from netcode.testing import LossPattern, Stepper
from tests.scenarios.small_game import Answer, Ask, Chat, Note, Spark, begin, enter

WEATHER = pytest.mark.parametrize("weather", ["clean", "terrible"])


@WEATHER
def test_what_is_said_arrives_once_and_in_order_both_ways(weather: str) -> None:
    game = begin(seed=7)
    at_host: list[str] = []
    game.host.handlers.set(Chat, lambda player, said: at_host.append(said.text))
    ada = enter(game, "Ada", weather)
    at_guest: list[str] = []
    ada.on(Chat)(lambda said: at_guest.append(said.text))
    words = [f"word {n}" for n in range(60)]
    for word in words:
        ada.send(Chat(text=word))
        game.host.broadcast(Chat(text=word))
        game.run(0.02)
    game.run(4.0)
    assert at_host == words
    assert at_guest == words


@WEATHER
def test_each_delivery_keeps_its_promise(weather: str) -> None:
    game = begin(seed=8)
    heard: dict[type, list[int]] = {Note: [], Spark: []}
    ada = enter(game, "Ada", weather)
    for kind, numbers in heard.items():
        ada.on(kind)(lambda said, numbers=numbers: numbers.append(said.number))
    for n in range(100):
        game.host.broadcast(Note(number=n))
        game.host.broadcast(Spark(number=n))
        game.run(0.02)
    game.run(4.0)
    assert sorted(heard[Note]) == list(range(100))
    assert set(heard[Spark]) <= set(range(100))
    assert len(heard[Spark]) > 70


@WEATHER
def test_a_guest_asks_and_the_host_answers(weather: str) -> None:
    game = begin(seed=9)
    game.host.handlers.set(Ask, lambda player, ask: Answer(number=2 * ask.number))
    ada = enter(game, "Ada", weather)
    replies = [ada.request(Ask(number=n)) for n in range(30)]
    game.run(4.0)
    assert [reply.result(timeout=0).number for reply in replies] == [2 * n for n in range(30)]  # type: ignore[attr-defined]


@WEATHER
@pytest.mark.parametrize("handler", ["nobody", "silent", "raising"])
def test_a_request_that_gets_no_answer_is_told_so(weather: str, handler: str) -> None:
    def silent(*_: object) -> None: ...

    def raising(*_: object) -> None:
        raise ZeroDivisionError("a bug in the game")

    game = begin(seed=21)
    if handler != "nobody":
        game.host.handlers.set(Ask, {"silent": silent, "raising": raising}[handler])
    ada = enter(game, "Ada", weather)
    there, back = ada.request(Ask()), None
    if handler != "raising":  # a guest's handler raises out of update()
        if handler == "silent":
            ada.on(Ask)(silent)
        back = game.player_of(ada).request(Ask())
    game.run(4.0)
    for reply in (there, back):
        if reply is not None:
            with pytest.raises(NoReply):
                reply.result(timeout=0)


@WEATHER
def test_the_host_asks_and_a_guest_answers(weather: str) -> None:
    game = begin(seed=10)
    ada = enter(game, "Ada", weather)
    ada.on(Ask)(lambda ask: Answer(number=ask.number + 1))
    reply = game.player_of(ada).request(Ask(number=41))
    assert not reply.done()
    game.run(3.0)
    assert reply.result(timeout=0) == Answer(number=42)


def test_who_leaves_owes_no_answer_but_the_asker_is_told() -> None:
    game = begin()
    ada = enter(game, "Ada")
    to_host, to_guest = ada.request(Ask()), game.player_of(ada).request(Ask())
    player = game.player_of(ada)
    ada.close()
    game.run(0.5)
    for reply in (to_host, to_guest, player.request(Ask())):
        with pytest.raises(Disconnected):
            reply.result(timeout=0)


def test_messages_to_one_player_do_not_reach_another() -> None:
    game = begin()
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    heard: list[str] = []
    for guest in (ada, bob):
        guest.on(Chat)(lambda said, name=guest.name: heard.append(name))
    game.player_of(ada).send(Chat(text="psst"))
    game.run(0.5)
    assert heard == ["Ada"]


def test_messages_wait_for_a_game_that_does_not_update() -> None:
    game = begin()
    ada = enter(game, "Ada")
    heard: list[int] = []
    ada.on(Note)(lambda note: heard.append(note.number))
    ada.stalled = True
    for n in range(200):
        game.host.broadcast(Note(number=n))
        game.run(0.01)
    assert heard == []
    ada.stalled = False
    game.run(0.1)
    assert sorted(heard) == list(range(200))


def test_a_handler_that_raises_loses_no_other_message() -> None:
    game = begin()
    ada = enter(game, "Ada")
    heard: list[int] = []

    def fussy(note: Note) -> None:
        heard.append(note.number)
        if note.number == 1:
            raise RuntimeError("I do not like this one")

    ada.on(Note)(fussy)
    ada.stalled = True
    for n in range(4):
        game.host.broadcast(Note(number=n))
    game.run(0.2)
    with pytest.raises(RuntimeError, match="do not like"):
        ada.update()
    ada.update()
    assert heard == [0, 1, 2, 3]


def test_what_overtakes_the_hello_is_heard_all_the_same() -> None:
    """The reliable lane's first packets are lost, an unordered message is not."""
    game = begin()
    heard: list[tuple[str, int]] = []
    game.host.handlers.set(Note, lambda player, note: heard.append((player.name, note.number)))
    ada = game.join("Ada", "wifi")
    lost = LossPattern("xx", nc.RELIABLE, repeat=False)
    ada.lose(up=lost)
    ada.send(Note(number=7))
    game.run(3.0)
    assert ada.joined
    assert heard == [("Ada", 7)]


def test_a_request_that_is_not_taken_leaves_nothing_behind() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.host.handlers.set(Ask, lambda player, ask: Answer())
    ada.wire.cut()
    refused = 0
    for _ in range(6000):
        try:
            ada.send(Chat(text="x" * 200))
        except SendQueueFull:
            refused += 1
    assert refused > 0
    for _ in range(3000):
        with pytest.raises(SendQueueFull, match="channel"):
            ada.request(Ask())


def test_an_answer_that_does_not_fit_does_no_harm() -> None:
    """The asker's line is dead, so that answers to its flood of questions pile up."""
    game = begin()
    asked: list[Player] = []

    def answer(player: Player, ask: Ask) -> Answer:
        asked.append(player)
        for _ in range(5000):
            player.try_send(Chat(text="x" * 200))
        return Answer()

    game.host.handlers.set(Ask, answer)
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    ada.request(Ask())
    game.run(1.0)
    assert asked
    assert bob.error is None
    assert game.host.stats.handler_errors == 1


def test_a_game_of_nothing_but_messages_runs() -> None:
    class Word(nc.Message):
        text = nc.Text(max_bytes=40)

    game = Stepper(nc.Protocol(messages=[Word]), seed=1)
    heard: list[str] = []
    ada = game.join("Ada", "4g")
    ada.on(Word)(lambda word: heard.append(word.text))
    game.run(1.0)
    game.server.broadcast(Word(text="hello"))
    game.run(1.0)
    assert heard == ["hello"]
    assert ada.error is None
