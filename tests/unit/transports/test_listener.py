"""Messages that come before anybody listens, and listeners that raise."""

import logging

import pytest

from netcode.errors import UsageError
from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane, TransportStats
from netcode.transports.listener import MAX_EARLY_BYTES, MAX_EARLY_MESSAGES, Listener


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[Lane, bytes]] = []
        self.reasons: list[str] = []

    def on_receive(self, lane: Lane, data: bytes) -> None:
        self.heard.append((lane, data))

    def on_closed(self, reason: str) -> None:
        self.reasons.append(reason)


def test_what_came_before_is_delivered_first() -> None:
    stats, ear = TransportStats(), Ear()
    listener = Listener(stats)
    started = [listener.started]
    assert listener.take(Lane.RELIABLE, b"before")
    listener.start(ear.on_receive, ear.on_closed)
    assert [*started, listener.started] == [False, True]
    assert listener.take(Lane.UNRELIABLE, b"after")
    assert ear.heard == [(Lane.RELIABLE, b"before"), (Lane.UNRELIABLE, b"after")]
    assert (stats.messages_received, stats.bytes_received, stats.dropped) == (2, 11, 0)
    listener.tell_closed("left")
    assert ear.reasons == ["left"]
    with pytest.raises(UsageError, match="one listener"):
        listener.start(ear.on_receive, ear.on_closed)


@pytest.mark.parametrize(
    ("size", "fitting"),
    [(1, MAX_EARLY_MESSAGES), (MAX_TRANSPORT_MESSAGE, MAX_EARLY_BYTES // MAX_TRANSPORT_MESSAGE)],
)
def test_what_is_kept_is_bounded(size: int, fitting: int) -> None:
    stats, ear = TransportStats(), Ear()
    listener = Listener(stats)
    for _ in range(fitting):
        assert listener.take(Lane.UNORDERED, bytes(size))
    assert listener.take(Lane.EXPIRING_500, bytes(size))  # Lost, as it may be.
    assert not listener.take(Lane.UNORDERED, bytes(size))
    assert stats.dropped == 2
    listener.start(ear.on_receive, ear.on_closed)
    assert len(ear.heard) == fitting


def test_forgetting_stops_the_delivery() -> None:
    ear = Ear()
    listener = Listener(TransportStats())
    for _ in range(3):
        listener.take(Lane.RELIABLE, b"x")

    def forget(lane: Lane, data: bytes) -> None:
        ear.on_receive(lane, data)
        listener.forget()

    listener.start(forget, ear.on_closed)
    assert len(ear.heard) == 1


def test_each_kind_of_error_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(TransportStats())
    errors: list[Exception] = [KeyError("a"), KeyError("b"), OSError("c")]

    def fail(lane: Lane, data: bytes) -> None:
        raise errors.pop(0)

    def fail_at_the_end(reason: str) -> None:
        raise KeyError(reason)

    listener.start(fail, fail_at_the_end)
    for _ in range(3):
        listener.take(Lane.RELIABLE, b"")
    listener.tell_closed("left")
    assert listener.errors == 4
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert all(record.exc_info for record in caplog.records)
