"""The world: its tables, and the pool of texts."""

import numpy as np
import pytest

import netcode as nc
from netcode.errors import UsageError
from netcode.world.world import TextPool, World


class Rock(nc.Entity):
    grade = nc.Int(0, 9)


class Sign(nc.Entity):
    text = nc.Text(max_bytes=30)
    names = nc.Ref("Rock")


class Stranger(nc.Entity):
    pass


def test_a_world_holds_what_was_spawned() -> None:
    world = World([Rock, Sign])
    rock, sign = world.spawn(Rock, grade=3), world.spawn(Sign)
    assert list(world) == [rock, sign]
    assert list(world[Rock]) == [rock]
    assert (len(world), len(world[Sign]), world.table(Rock)) == (2, 1, world[Rock])
    world.despawn(rock)
    world.despawn(rock)
    assert list(world) == [sign]


@pytest.mark.parametrize("kind", [Stranger, "Rock", 5])
def test_a_class_that_is_not_of_this_game_is_refused(kind: type) -> None:
    world = World([Rock])
    with pytest.raises(UsageError, match="not part of this game"):
        world.spawn(kind)
    with pytest.raises(UsageError, match="not part of this game"):
        _ = world[kind]


def test_an_entity_despawns_in_its_own_world_only() -> None:
    here, there = World([Rock]), World([Rock])
    mine, theirs = here.spawn(Rock), there.spawn(Rock)
    with pytest.raises(UsageError, match="another world"):
        here.despawn(theirs)
    assert mine.alive
    assert theirs.alive


def test_a_field_may_be_called_kind() -> None:
    class Odd(nc.Entity):
        kind = nc.Int(0, 5)

    assert World([Odd]).spawn(Odd, kind=4).kind == 4


# -- texts -----------------------------------------------------------------------------------


def pool_of(*numbers: int) -> tuple[TextPool, list[int]]:
    pool, used = TextPool(), list(numbers)
    pool.users.append(lambda: [np.array(used, dtype=np.int32)])
    return pool, used


def test_a_text_has_one_number_and_nothing_is_zero() -> None:
    pool = TextPool()
    assert pool.number("") == 0
    assert pool.number("a") == pool.number("a")
    assert pool.number("a") != pool.number("b")
    assert [pool.text(pool.number(text)) for text in ("", "a", "b")] == ["", "a", "b"]
    assert pool.text(12_345) == ""


def test_a_pool_keeps_what_is_used_and_forgets_the_rest() -> None:
    pool, used = pool_of()
    kept = pool.number("kept")
    used.append(kept)
    lost = pool.number("lost")
    for index in range(20_000):
        pool.number(f"passing {index}")
    assert pool.text(kept) == "kept"
    assert pool.text(lost) == ""
    assert len(pool) < 4_000


def test_a_number_is_not_given_to_another_text_soon() -> None:
    """Somebody may still hold it: who does reads nothing, rather than something wrong."""
    pool, _ = pool_of()
    lost = pool.number("lost")
    later = [pool.number(f"passing {index}") for index in range(20_000)]
    assert lost not in later
    assert len(set(later)) == len(later)


def test_what_was_used_a_moment_ago_can_still_be_read() -> None:
    pool, _ = pool_of()
    for index in range(4_000):
        recent = pool.number(f"{index}")
        for back in range(min(index, 500)):
            if back % 100 == 0:
                assert pool.text(recent - back) == f"{index - back}"


def test_a_pool_in_full_use_does_not_sweep_for_every_text() -> None:
    sweeps = 0
    used: list[int] = []

    def user() -> list[np.ndarray]:
        nonlocal sweeps
        sweeps += 1
        return [np.array(used, dtype=np.int32)]

    pool = TextPool()
    pool.users.append(user)
    for index in range(10_000):
        used.append(pool.number(f"{index}"))
    assert sweeps < 10
    assert [pool.text(number) for number in used] == [f"{index}" for index in range(10_000)]


def test_numbers_begin_again_after_the_last_and_skip_those_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("netcode.world.world.LAST_NUMBER", 4_000)
    pool, used = pool_of()
    keep = [pool.number(f"kept {index}") for index in range(5)]
    used += keep
    for index in range(10_000):
        assert 0 < pool.number(f"passing {index}") <= 4_000
    assert [pool.text(number) for number in keep] == [f"kept {index}" for index in range(5)]


def test_the_texts_of_a_world_are_in_use() -> None:
    world = World([Sign])
    signs = [world.spawn(Sign, text=f"sign {index}") for index in range(50)]
    for index in range(10_000):
        signs[0].text = f"{index}"
    assert [sign.text for sign in signs[1:]] == [f"sign {index}" for index in range(1, 50)]
    assert len(world.texts) < 4_000
