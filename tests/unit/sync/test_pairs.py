"""Pairs: places are found, given back and used again, and nothing of a former pair is left."""

import random

import numpy as np
import pytest

from netcode.sync.pairs import NEVER, NONE, Pairs


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def pairs_of(slots: int = 3, entities: int = 50) -> Pairs:
    pairs = Pairs()
    pairs.fit(slots, entities)
    return pairs


def begin(pairs: Pairs, slots: np.ndarray, entities: np.ndarray, number: int = 5) -> np.ndarray:
    places = pairs.take(slots, entities)
    pairs.begin(places, np.zeros(len(places), dtype=np.int32), number)
    pairs.doubtful[places] = False
    return places


def held(pairs: Pairs) -> dict[tuple[int, int], int]:
    """Place by slot and entity, as `where` says."""
    slots, entities = np.nonzero(pairs.where != NONE)
    return {
        (slot, entity): int(pairs.where[slot, entity])
        for slot, entity in zip(slots.tolist(), entities.tolist(), strict=True)
    }


def test_a_pair_is_found_by_slot_and_entity() -> None:
    pairs = pairs_of()
    places = begin(pairs, ints(0, 0, 2), ints(7, 9, 7))
    assert held(pairs) == {
        (0, 7): places[0],
        (0, 9): places[1],
        (2, 7): places[2],
    }
    assert len(pairs) == 3


def test_a_place_given_back_is_used_again() -> None:
    pairs = pairs_of()
    places = begin(pairs, ints(0, 0, 1), ints(1, 2, 1))
    pairs.drop(places[1:])
    assert held(pairs) == {(0, 1): places[0]}
    again = begin(pairs, ints(2, 2), ints(4, 5))
    assert set(again.tolist()) == set(places[1:].tolist())
    assert pairs.used == 3


def test_a_new_pair_knows_nothing_of_the_one_before() -> None:
    pairs = pairs_of()
    (place,) = begin(pairs, ints(0), ints(1)).tolist()
    pairs.said[place] = 0b1011
    pairs.mention[:, place] = 3
    pairs.sent[place] = pairs.settled[place] = 9
    pairs.entered[place] = True
    pairs.drop(ints(place))
    assert not pairs.pending[place]
    assert not pairs.present[place]
    begin(pairs, ints(1), ints(2), number=20)
    assert pairs.said[place] == 0
    assert not pairs.mention[:, place].any()
    assert not pairs.entered[place]
    assert (pairs.since[place], pairs.due_since[place]) == (20, 20)
    assert (pairs.sent[place], pairs.settled[place]) == (NEVER, NEVER)


def test_what_was_never_told_need_not_be_told_to_leave() -> None:
    pairs = pairs_of()
    places = begin(pairs, ints(0, 0, 0), ints(1, 2, 3))
    pairs.sent[places[1]] = 6
    pairs.doubtful[places[2]] = True
    pairs.end(places, 8)
    assert set(held(pairs)) == {(0, 2), (0, 3)}
    assert not pairs.present[places[1:]].any()
    assert pairs.pending[places[1:]].all()
    assert pairs.due_since[places[1:]].tolist() == [5, 5], "they keep their place in the order"


def test_a_peer_that_goes_takes_its_pairs_along() -> None:
    pairs = pairs_of()
    begin(pairs, ints(0, 1, 1, 2), ints(1, 1, 2, 1))
    pairs.forget(1)
    assert set(held(pairs)) == {(0, 1), (2, 1)}
    pairs.forget(7)  # was never there
    assert len(pairs) == 2


def test_entities_can_get_other_numbers() -> None:
    pairs = pairs_of(entities=4)
    places = begin(pairs, ints(0, 1), ints(1, 3))
    pairs.move(ints(0, 1, 10, 11), 20)
    assert held(pairs) == {(0, 1): places[0], (1, 11): places[1]}
    assert pairs.where.shape == (3, 20)
    assert pairs.entity[places].tolist() == [1, 11]


def test_growing_keeps_what_is_there() -> None:
    pairs = pairs_of(slots=1, entities=4)
    places = begin(pairs, ints(0, 0), ints(1, 3))
    pairs.mention[4, places] = 7
    pairs.fit(5, 3000)
    begin(pairs, np.full(3000, 2), np.arange(3000))
    assert held(pairs)[(0, 3)] == places[1]
    assert pairs.mention[4, places].tolist() == [7, 7]
    assert pairs.slot is pairs._columns["slot"], "the attributes are the grown columns"
    assert len(pairs) == 3002 <= pairs.capacity


@pytest.mark.parametrize("seed", range(5))
def test_places_are_never_held_twice(seed: int) -> None:
    rng = random.Random(seed)
    pairs = pairs_of(4, 30)
    model: set[tuple[int, int]] = set()
    for number in range(60):
        everything = [(slot, entity) for slot in range(4) for entity in range(30)]
        come = rng.sample([pair for pair in everything if pair not in model], k=rng.randint(0, 20))
        if come:
            slots, entities = zip(*come, strict=True)
            begin(pairs, ints(*slots), ints(*entities), number)
            model |= set(come)
        go = rng.sample(sorted(model), k=rng.randint(0, min(20, len(model))))
        pairs.drop(ints(*(int(pairs.where[pair]) for pair in go)))
        model -= set(go)
        if rng.random() < 0.1:
            pairs.forget(2)
            model = {pair for pair in model if pair[0] != 2}
        places = held(pairs)
        assert set(places) == model
        assert len(set(places.values())) == len(pairs) == len(model)
        for (slot, entity), place in places.items():
            assert (pairs.slot[place], pairs.entity[place]) == (slot, entity)
    assert pairs.used <= 120, "a place that was given back is taken before a new one"


def test_the_memory_of_a_pair_is_small() -> None:
    assert pairs_of().bytes_each <= 64
