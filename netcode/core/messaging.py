"""The mailbox: typed messages, their handlers, and requests with a reply."""

import asyncio
import logging
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Generic, TypeVar

from netcode.declarations import Message
from netcode.errors import (
    Disconnected,
    NetcodeError,
    NoReply,
    SendQueueFull,
    UsageError,
    WireError,
)
from netcode.fields import Context
from netcode.link.delivery import RELIABLE, Delivery
from netcode.link.session import Channel, Session
from netcode.protocol import Protocol
from netcode.wire.messages import (
    MAX_REQUEST,
    NO_REQUEST,
    decode_message,
    encode_message,
    encode_no_reply,
)

log = logging.getLogger("netcode")

MESSAGES = "netcode/messages"
"""Name of the channels that carry typed messages, one for each delivery in use."""

MAX_PENDING = 1_024
"""Requests that one end waits for."""

M = TypeVar("M", bound=Message)


class Reply(Generic[M]):
    """An answer that will come: ``await reply`` on an event loop, or ``reply.result(timeout)``.

    Both raise `Disconnected` if the session ends before, and `NoReply` if the request is not
    answered: nobody handles its class, or the handler returned no message, or raised.
    Cancelling the awaiting task gives the reply up; the other end still handles the request.
    """

    def __init__(self, about: str = "a request") -> None:
        self._future: Future[Message] = Future()
        self._about = about

    @classmethod
    def failed(cls, error: Exception) -> "Reply[M]":
        """A reply that will never come, and why."""
        reply = cls()
        reply._fail(error)
        return reply

    def done(self) -> bool:
        """Whether the answer (or the end of the session) is here."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> Message:
        """The answer. Raises `TimeoutError` if it takes longer than ``timeout`` seconds.

        Blocks the thread: on the thread of the network's event loop use ``await`` instead.
        """
        return self._future.result(timeout)

    def __await__(self) -> Generator[Any, None, Message]:
        return asyncio.wrap_future(self._future).__await__()

    def _resolve(self, message: Message) -> None:
        with suppress(InvalidStateError):  # given up in the meantime
            self._future.set_result(message)

    def _fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self._future.set_exception(error)


class Mailbox:
    """One session's typed messages."""

    def __init__(self, protocol: Protocol, session: Session, context: Context) -> None:
        self._protocol = protocol
        self._context = context
        self._pending: dict[int, Reply[Message]] = {}
        self._next_request = 1
        self.early: list[bytes] = []
        """What came before the channels were opened: it overtook the hello."""
        self._channels: dict[Delivery, Channel] = {}
        for delivery in {RELIABLE, *(kind.delivery for kind in protocol.messages)}:
            self._channels[delivery], waiting = session.open(MESSAGES, delivery)
            self.early += waiting

    def carries(self, channel: Channel) -> bool:
        return channel.name == MESSAGES

    def encode(self, message: Message, tick: int | None = None) -> tuple[Channel, bytes]:
        """Where a message goes, and its bytes; ``tick`` goes along if its class is timed.

        Raises `UsageError` for an undeclared class.
        """
        payload = self._encode(message, NO_REQUEST, reply=False, tick=tick)
        return self._channels[message.delivery], payload

    def request(self, message: Message, send: Callable[[Channel, bytes], None]) -> Reply[Message]:
        """Send a message that wants a reply; it travels reliably whatever it declares.

        Raises what ``send`` raises, and `SendQueueFull` if too many wait for their reply.
        """
        if len(self._pending) >= MAX_PENDING:
            raise SendQueueFull(f"{MAX_PENDING} requests wait for their reply already")
        number = self._next_request
        self._next_request = number % MAX_REQUEST + 1
        payload = self._encode(message, number, reply=False)
        reply = self._pending[number] = Reply[Message](type(message).__name__)
        try:
            send(self._channels[RELIABLE], payload)
        except NetcodeError:
            del self._pending[number]
            raise
        return reply

    def encode_reply(self, message: Message | None, request: int) -> tuple[Channel, bytes]:
        """The answer to a request; None tells the waiter that there is none."""
        if message is None:
            return self._channels[RELIABLE], encode_no_reply(request)
        return self._channels[RELIABLE], self._encode(message, request, reply=True)

    def receive(self, payload: bytes) -> tuple[Message, int, int | None] | None:
        """A message, the number of its request and its tick, if it has one; None for a reply, which
        is given to its waiter.

        Raises `WireError`.
        """
        message, request, is_reply, tick = decode_message(
            payload, self._protocol.messages, self._context
        )
        if message is not None and not is_reply:
            return message, request, tick
        reply = self._pending.pop(request, None)
        if reply is None:
            raise WireError(f"a reply to request {request}, which was never made")
        if message is None:
            reply._fail(
                NoReply(
                    f"no answer to {reply._about}: the other end has no handler for it "
                    f"(write one: @server.on({reply._about}), @client.on), or the handler "
                    "returned no message, or raised (the log there says so)"
                )
            )
        else:
            reply._resolve(message)
        return None

    def close(self, reason: str) -> None:
        """The session is over: nobody will answer any more."""
        pending, self._pending = self._pending, {}
        for reply in pending.values():
            reply._fail(Disconnected(reason))

    def _encode(
        self, message: Message, request: int, *, reply: bool, tick: int | None = None
    ) -> bytes:
        if not isinstance(message, Message):
            raise UsageError(f"what is sent is a message, such as Chat(text=…), not {message!r}")
        index = self._protocol.message_index.get(type(message))
        if index is None:
            raise UsageError(
                f"{type(message).__name__} is not part of this game: "
                "add it to Protocol(messages=[...])"
            )
        moment = tick if message.timed else None
        return encode_message(
            index, message, self._context, request=request, reply=reply, tick=moment
        )


class Handlers:
    """Who handles which message class: at most one function each."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._handlers: dict[type[Message], Callable[..., Any]] = {}

    def check(self, kind: type[Message]) -> None:
        """Raise `UsageError` unless this is a message class of the game."""
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise UsageError(f"on() takes a message class, as in @server.on(Chat), not {kind!r}")
        if kind not in self._protocol.message_index:
            raise UsageError(
                f"{kind.__name__} is not part of this game: add it to Protocol(messages=[...])"
            )

    def set(self, kind: type[Message], handler: Callable[..., Any]) -> None:
        """Let this function handle the class. Raises `UsageError` for a second one."""
        self.check(kind)
        if kind in self._handlers:
            raise UsageError(f"{kind.__name__} has a handler already: combine the two")
        self._handlers[kind] = handler

    def get(self, message: Message) -> Callable[..., Any] | None:
        handler = self._handlers.get(type(message))
        if handler is None:
            log.debug("nobody handles %s", type(message).__name__)
        return handler
