"""The ladder: what begins when, what is taken, and what is given up."""

import asyncio
from typing import Any

import pytest

import netcode as nc
from netcode.errors import Unreachable
from netcode.ladder import checked_rungs, first_open
from netcode.rungs import Rung

LONG, NEVER = 60.0, 3600.0


class FakeTransport:
    def __init__(self, rung: Rung) -> None:
        self.rung = rung
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    async def wait_closed(self) -> None:
        assert self.is_closed


class Calls:
    """Calls that open or fail when the test says so."""

    def __init__(self) -> None:
        self.begun: list[Rung] = []
        self.given_up: list[Rung] = []
        self.transports: list[FakeTransport] = []
        self.begins = {rung: asyncio.Event() for rung in Rung}
        self.outcome: dict[Rung, asyncio.Future[None]] = {}

    async def __call__(self, rung: Rung) -> Any:
        self.begun.append(rung)
        self.outcome[rung] = asyncio.get_running_loop().create_future()
        self.begins[rung].set()
        try:
            await self.outcome[rung]
        except asyncio.CancelledError:
            self.given_up.append(rung)
            raise
        self.transports.append(FakeTransport(rung))
        return self.transports[-1]

    def open(self, rung: Rung) -> None:
        self.outcome[rung].set_result(None)

    def fail(self, rung: Rung, why: str) -> None:
        self.outcome[rung].set_exception(Unreachable(why))


def climb(calls: Calls, head_start: float) -> "asyncio.Task[Any]":
    return asyncio.create_task(first_open(calls, tuple(Rung), head_start))


async def test_nothing_else_begins_within_the_head_start() -> None:
    calls = Calls()
    task = climb(calls, LONG)
    await calls.begins[Rung.DIRECT].wait()
    calls.open(Rung.DIRECT)
    assert (await task).rung is Rung.DIRECT
    assert calls.begun == [Rung.DIRECT]


async def test_a_rung_that_fails_makes_way_at_once() -> None:
    calls = Calls()
    task = climb(calls, NEVER)
    for rung in (Rung.DIRECT, Rung.TURN_UDP, Rung.TURN_TCP):
        await calls.begins[rung].wait()
        calls.fail(rung, "blocked")
    await calls.begins[Rung.WEBSOCKET].wait()
    calls.open(Rung.WEBSOCKET)
    assert (await task).rung is Rung.WEBSOCKET


async def test_the_first_to_open_is_taken_and_the_others_are_given_up() -> None:
    calls = Calls()
    task = climb(calls, 0.001)
    await calls.begins[Rung.WEBSOCKET].wait()
    calls.open(Rung.TURN_TCP)
    assert (await task).rung is Rung.TURN_TCP
    assert set(calls.given_up) == {Rung.DIRECT, Rung.TURN_UDP, Rung.WEBSOCKET}


async def test_of_two_that_open_in_the_same_moment_the_better_is_taken() -> None:
    calls = Calls()
    task = climb(calls, 0.001)
    await calls.begins[Rung.WEBSOCKET].wait()
    calls.open(Rung.WEBSOCKET)
    calls.open(Rung.DIRECT)
    assert (await task).rung is Rung.DIRECT
    assert all(each.is_closed for each in calls.transports if each.rung is not Rung.DIRECT)


async def test_when_all_fail_each_says_why() -> None:
    calls = Calls()
    task = climb(calls, 0.001)
    await calls.begins[Rung.WEBSOCKET].wait()
    for rung in reversed(Rung):
        calls.fail(rung, f"no {rung.value} today")
    with pytest.raises(Unreachable) as raised:
        await task
    text = str(raised.value)
    places = [text.index(f"{rung.value}: no {rung.value} today") for rung in Rung]
    assert places == sorted(places)


async def test_another_error_ends_it_all() -> None:
    calls = Calls()
    task = climb(calls, 0.001)
    await calls.begins[Rung.WEBSOCKET].wait()
    calls.outcome[Rung.TURN_UDP].set_exception(nc.UsageError("wrong"))
    with pytest.raises(nc.UsageError):
        await task
    assert len(calls.given_up) == 3


async def test_cancelling_gives_all_up() -> None:
    calls = Calls()
    task = climb(calls, 0.001)
    await calls.begins[Rung.WEBSOCKET].wait()
    task.cancel()
    await asyncio.wait([task])
    assert set(calls.given_up) == set(Rung)


def test_rungs_may_be_chosen_and_are_put_in_order() -> None:
    assert checked_rungs(None) == tuple(Rung)
    assert checked_rungs(["websocket", "direct"]) == (Rung.DIRECT, Rung.WEBSOCKET)


@pytest.mark.parametrize("wrong", ["direct", [], ["tunnel"], ["direct", "DIRECT"]])
def test_what_is_no_choice_of_rungs_raises(wrong: Any) -> None:
    with pytest.raises(nc.UsageError, match="rung"):
        checked_rungs(wrong)


async def test_a_transport_that_has_opened_is_closed_if_nobody_waits_for_it_any_more() -> None:
    calls = Calls()
    slow = asyncio.Event()

    async def call(rung: Rung) -> Any:
        try:
            return await calls(rung)
        except asyncio.CancelledError:
            slow.set()
            await asyncio.sleep(NEVER)  # takes its time to give up

    task = asyncio.create_task(first_open(call, tuple(Rung), 0.001))
    await calls.begins[Rung.WEBSOCKET].wait()
    calls.open(Rung.DIRECT)
    await slow.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [each.is_closed for each in calls.transports] == [True]
