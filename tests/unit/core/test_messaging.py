"""Typed messages, requests and their replies."""

import asyncio
from collections.abc import Callable

import pytest

import netcode as nc
from netcode.core.messaging import MAX_PENDING, Handlers, Mailbox, Reply
from netcode.errors import Disconnected, NetcodeError, SendQueueFull, UsageError, WireError
from netcode.link.delivery import RELIABLE, UNORDERED
from netcode.link.frames import Piece
from netcode.link.session import Channel, Session
from netcode.transports.base import Lane
from netcode.world.world import World


class Say(nc.Message):
    text = nc.Text(max_bytes=50)


class Count(nc.Message, delivery=nc.UNORDERED):
    number = nc.Int(0, 100)


class Foreign(nc.Message):
    pass


GAME = nc.Protocol(messages=[Say, Count])


class End:
    def __init__(self) -> None:
        self.session = Session()
        self.mailbox = Mailbox(GAME, self.session, World(()))
        self.sent: list[tuple[Channel, bytes]] = []

    def send(self, channel: Channel, payload: bytes) -> None:
        self.sent.append((channel, payload))

    def ask(self, message: nc.Message) -> Reply[nc.Message]:
        return self.mailbox.request(message, self.send)


def test_a_message_reads_as_it_was_written_on_the_channel_of_its_delivery() -> None:
    a, b = End(), End()
    for message, delivery in ((Say(text="hé"), RELIABLE), (Count(number=7), UNORDERED)):
        channel, payload = a.mailbox.encode(message)
        assert channel.delivery is delivery
        assert a.mailbox.carries(channel)
        assert b.mailbox.receive(payload) == (message, 0, None)


def test_a_request_gets_its_reply() -> None:
    a, b = End(), End()
    replies = [a.ask(Count(number=n)) for n in range(5)]
    for channel, payload in reversed(a.sent):
        assert channel.delivery is RELIABLE  # a request is never lost, whatever it declares
        received = b.mailbox.receive(payload)
        assert received is not None
        message, request, _ = received
        assert isinstance(message, Count)
        _, answer = b.mailbox.encode_reply(Say(text=str(message.number)), request)
        assert a.mailbox.receive(answer) is None
    assert [reply.result(timeout=0) for reply in replies] == [Say(text=str(n)) for n in range(5)]


async def test_a_reply_can_be_awaited() -> None:
    a, b = End(), End()
    reply = a.ask(Say(text="?"))
    waiting = asyncio.ensure_future(reply)
    await asyncio.sleep(0)
    assert not waiting.done()
    a.mailbox.receive(b.mailbox.encode_reply(Say(text="!"), 1)[1])
    assert await asyncio.wait_for(waiting, 5) == Say(text="!")


async def test_a_reply_that_was_given_up_does_no_harm_when_it_comes() -> None:
    a, b = End(), End()
    waiting = asyncio.ensure_future(a.ask(Say()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert a.mailbox.receive(b.mailbox.encode_reply(Say(), 1)[1]) is None


def test_a_reply_that_takes_too_long_raises_timeout() -> None:
    with pytest.raises(TimeoutError):
        End().ask(Say()).result(timeout=0)


@pytest.mark.parametrize("number", [2, 999])
def test_a_reply_to_what_was_never_asked_is_a_wire_error(number: int) -> None:
    a, b = End(), End()
    a.ask(Say())
    with pytest.raises(WireError, match="never made"):
        a.mailbox.receive(b.mailbox.encode_reply(Say(), number)[1])


def test_a_second_reply_is_a_wire_error() -> None:
    a, b = End(), End()
    a.ask(Say())
    answer = b.mailbox.encode_reply(Say(), 1)[1]
    a.mailbox.receive(answer)
    with pytest.raises(WireError):
        a.mailbox.receive(answer)


def test_the_end_of_the_session_answers_all_that_wait() -> None:
    a = End()
    replies = [a.ask(Say()) for _ in range(3)]
    a.mailbox.close("kicked: rude")
    for reply in replies:
        assert reply.done()
        with pytest.raises(Disconnected, match="kicked: rude"):
            reply.result(timeout=0)


def test_only_so_many_requests_may_wait() -> None:
    a, b = End(), End()
    for _ in range(MAX_PENDING):
        a.ask(Say())
    with pytest.raises(SendQueueFull):
        a.ask(Say())
    a.mailbox.receive(b.mailbox.encode_reply(Say(), 1)[1])
    a.ask(Say())


@pytest.mark.parametrize("error", [SendQueueFull, UsageError])
def test_a_request_that_was_not_taken_does_not_wait(error: type[NetcodeError]) -> None:
    a = End()

    def refuse(channel: Channel, payload: bytes) -> None:
        raise error("no")

    for _ in range(MAX_PENDING + 1):
        with pytest.raises(error, match="no"):
            a.mailbox.request(Say(), refuse)
    a.ask(Say())


ENCODE: list[Callable[[Mailbox], object]] = [
    lambda mailbox: mailbox.encode(Foreign()),
    lambda mailbox: mailbox.request(Foreign(), lambda channel, payload: None),
    lambda mailbox: mailbox.encode_reply(Foreign(), 1),
]


@pytest.mark.parametrize("encode", ENCODE, ids=["send", "request", "reply"])
def test_a_message_of_another_game_is_refused(encode: Callable[[Mailbox], object]) -> None:
    with pytest.raises(UsageError, match="Foreign"):
        encode(End().mailbox)


def test_what_came_before_the_channels_were_opened_is_kept() -> None:
    a = End()
    channel, payload = a.mailbox.encode(Count(number=3))
    session = Session()
    session.receive(Lane.UNORDERED, Piece(channel.number, 0, 0, 1, payload))
    mailbox = Mailbox(GAME, session, World(()))
    assert [mailbox.receive(early) for early in mailbox.early] == [(Count(number=3), 0, None)]


def test_a_class_has_one_handler() -> None:
    handlers = Handlers(GAME)
    handlers.set(Say, print)
    assert handlers.get(Say()) is print
    assert handlers.get(Count()) is None
    with pytest.raises(UsageError, match="already"):
        handlers.set(Say, print)
    with pytest.raises(UsageError, match="messages"):
        handlers.set(Foreign, print)
