"""Tickets: who holds one, and when it is void."""

import secrets

from hypothesis import given
from hypothesis import strategies as st

from netcode.link.frames import TICKET_BYTES
from netcode.link.tickets import Tickets


def test_a_ticket_names_its_holder() -> None:
    tickets = Tickets(secrets.token_bytes)
    ada, bob = tickets.issue(1), tickets.issue(2)
    assert len(ada) == TICKET_BYTES
    assert (tickets.holder(ada), tickets.holder(bob)) == (1, 2)


def test_the_one_that_was_shown_is_good_until_the_newest_is_confirmed() -> None:
    tickets = Tickets(secrets.token_bytes)
    first = tickets.issue(1)
    second = tickets.issue(1, shown=first)
    third = tickets.issue(1, shown=first)  # the answer with the second was lost
    assert tickets.holder(first) == tickets.holder(third) == 1
    assert tickets.holder(second) is None  # nobody has ever shown that it arrived
    tickets.confirm(1)
    assert tickets.holder(first) is None
    assert tickets.holder(third) == 1
    fourth = tickets.issue(1, shown=third)
    assert tickets.holder(third) == tickets.holder(fourth) == 1


def test_who_shows_the_newest_has_it_although_nothing_was_said_with_it() -> None:
    tickets = Tickets(secrets.token_bytes)
    first = tickets.issue(1)
    second = tickets.issue(1, shown=first)
    third = tickets.issue(1, shown=second)
    assert tickets.holder(first) is None
    assert tickets.holder(second) == tickets.holder(third) == 1


def test_who_is_gone_has_no_ticket() -> None:
    tickets = Tickets(secrets.token_bytes)
    ticket = tickets.issue(1)
    tickets.drop(1)
    tickets.drop(1)
    tickets.confirm(1)
    assert tickets.holder(ticket) is None


@given(st.binary(max_size=40))
def test_made_up_tickets_are_nobodys(made_up: bytes) -> None:
    tickets = Tickets(secrets.token_bytes)
    ticket = tickets.issue(1)
    assert tickets.holder(made_up) is None
    assert tickets.holder(ticket[:8] + made_up) is None
