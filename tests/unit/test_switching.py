"""Python switches threads promptly while clients have threads of their own, and no longer."""

import sys
from collections.abc import Iterator

import pytest

import netcode as nc
from netcode.switching import SWITCH_INTERVAL, PromptSwitching

GAME = nc.Protocol(entities=[], inputs=[], messages=[])

PROMPT = pytest.approx(SWITCH_INTERVAL, abs=2e-6)
"""Python keeps whole microseconds, and cuts off what is below."""


@pytest.fixture(autouse=True)
def stock() -> Iterator[float]:
    """The interval before, which a test may change as it likes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_the_last_one_out_puts_back_what_was_there(stock: float) -> None:
    prompt = PromptSwitching()
    with prompt:
        assert sys.getswitchinterval() == PROMPT
        with prompt:
            assert sys.getswitchinterval() == PROMPT
        assert sys.getswitchinterval() == PROMPT
    assert sys.getswitchinterval() == stock
    with prompt:
        assert sys.getswitchinterval() == PROMPT
    assert sys.getswitchinterval() == stock


def test_a_lower_interval_is_never_raised() -> None:
    sys.setswitchinterval(0.00005)
    low = sys.getswitchinterval()
    with PromptSwitching():
        assert sys.getswitchinterval() == low
    assert sys.getswitchinterval() == low


@pytest.mark.parametrize("wanted", [0.00005, 0.01])
def test_what_is_set_in_the_meantime_stands(wanted: float) -> None:
    prompt = PromptSwitching()
    with prompt:
        sys.setswitchinterval(wanted)
        with prompt:  # another client does not know better
            assert sys.getswitchinterval() == pytest.approx(wanted, abs=2e-6)
    assert sys.getswitchinterval() == pytest.approx(wanted, abs=2e-6)


def test_an_exception_puts_it_back_too(stock: float) -> None:
    with pytest.raises(ZeroDivisionError), PromptSwitching():
        raise ZeroDivisionError
    assert sys.getswitchinterval() == stock


# -- clients ---------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that are in at once, with nobody at the other end."""

    async def join_and_play(client: nc.Client) -> None:
        client._guest.on_state_change()
        await client._until(lambda: client._guest.ended is not None)

    monkeypatch.setattr(nc.Client, "_join_and_play", join_and_play)


def connect() -> nc.Client:
    return nc.connect("ws://nowhere.invalid", GAME)


@pytest.mark.usefixtures("offline")
def test_two_clients_the_first_to_come_leaves_first(stock: float) -> None:
    first, second = connect(), connect()
    with second:
        with first:
            assert sys.getswitchinterval() == PROMPT
        assert sys.getswitchinterval() == PROMPT
    assert sys.getswitchinterval() == stock

    first, second = connect(), connect()
    first.__enter__()
    second.__enter__()
    first.close()
    assert sys.getswitchinterval() == PROMPT
    second.close()
    assert sys.getswitchinterval() == stock


def test_a_client_that_does_not_get_in_puts_it_back(
    stock: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    during = []

    async def join_and_play(client: nc.Client) -> None:
        during.append(sys.getswitchinterval())
        raise nc.Unreachable("nobody is there")

    monkeypatch.setattr(nc.Client, "_join_and_play", join_and_play)
    with pytest.raises(nc.Unreachable), connect():
        pass
    assert during == [PROMPT]
    assert sys.getswitchinterval() == stock


@pytest.mark.usefixtures("offline")
async def test_a_client_on_the_callers_loop_leaves_it_alone(stock: float) -> None:
    async with connect():
        assert sys.getswitchinterval() == stock
