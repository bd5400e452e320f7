"""Policies in a whole game: groups, owners, references, slower updates; and why not."""

from typing import Any

import netcode as nc
from netcode.core.player import Player
from netcode.testing import SteppedClient, Stepper


class Scout(nc.Entity):
    x = nc.Float(-5000, 5000, step=0.5)
    y = nc.Float(-5000, 5000, step=0.5)
    team = nc.Int(0, 7)
    target = nc.Ref("Scout")
    plan = nc.Ref("Scout", only_owner=True)
    ammo = nc.Int(0, 255, only_owner=True)
    cloaked = nc.Bool()


class Score(nc.Entity):
    kills = nc.Int(0, 1000)


GAME = nc.Protocol(entities=[Scout, Score])


def begin(**options: Any) -> Stepper:
    game = Stepper(GAME, **options)

    def join(player: Player) -> None:
        scout = game.host.world.spawn(Scout, x=100.0 * player.id, team=player.id % 2, ammo=9)
        player.control(scout)

    game.host.on_join.append(join)
    return game


def enter(game: Stepper, name: str) -> SteppedClient:
    guest = game.join(name)
    game.run_until(lambda: guest.own(Scout) is not None, within=5.0)
    game.run(0.5)
    return guest


def scouts(guest: SteppedClient) -> set[int]:
    return {scout.handle for scout in guest.authoritative[Scout]}


def test_team_mates_are_seen_however_far_away() -> None:
    game = begin(interest=nc.Radius(500) | nc.Groups("team"))
    guest = enter(game, "Ada")
    mate = game.host.world.spawn(Scout, x=4000, team=1)
    stranger = game.host.world.spawn(Scout, x=4000, team=2)
    score = game.host.world.spawn(Score, kills=3)
    game.run(0.5)
    assert mate.handle not in scouts(guest)
    game.player_of(guest).join_group(1)
    game.run(0.5)
    assert mate.handle in scouts(guest)
    assert stranger.handle not in scouts(guest)
    assert [score.kills for score in guest.authoritative[Score]] == [score.kills]
    game.player_of(guest).leave_group(1)
    game.run(0.5)
    assert mate.handle not in scouts(guest)


def test_the_cloaked_vanish_even_beside_you() -> None:
    hidden = nc.Where(lambda table, viewers: ~table["cloaked"] if table.kind is Scout else None)
    game = begin(interest=nc.Radius(500) & hidden)
    guest = enter(game, "Ada")
    other = game.host.world.spawn(Scout, x=150)
    game.run(0.5)
    assert other.handle in scouts(guest)
    other.cloaked = True
    game.run(0.5)
    assert other.handle not in scouts(guest)
    explanation = game.host.explain(game.player_of(guest), other)
    assert explanation.verdict == "culled"
    assert len(explanation.culled_by) == 1
    assert "Where" in explanation.culled_by[0]


def test_a_reference_is_told_to_those_who_see_its_target() -> None:
    game = begin(interest=nc.Radius(500))
    guest = enter(game, "Ada")
    far = game.host.world.spawn(Scout, x=3000)
    near = game.host.world.spawn(Scout, x=150, target=far, plan=far)
    game.run(0.5)
    [seen] = [scout for scout in guest.authoritative[Scout] if scout.handle == near.handle]
    assert seen.target is None
    assert guest.authoritative.table(Scout)["target"][seen._row] == -1, "not even its handle"
    far.x = 200
    game.run(0.5)
    [seen] = [scout for scout in guest.authoritative[Scout] if scout.handle == near.handle]
    assert seen.target is not None
    assert seen.target.handle == far.handle
    assert seen.plan is None, "that is for the owner alone"


def test_only_the_owner_knows_the_ammunition_and_a_new_owner_learns_it() -> None:
    game = begin()
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    [scout] = game.player_of(ada).entities
    assert isinstance(scout, Scout)

    def ammo(guest: SteppedClient) -> int:
        return next(s.ammo for s in guest.authoritative[Scout] if s.handle == scout.handle)

    assert (ammo(ada), ammo(bob)) == (9, 0)
    game.player_of(ada).release(scout)
    game.player_of(bob).control(scout)
    game.run(0.5)
    assert (ammo(ada), ammo(bob)) == (0, 9)


def test_what_is_far_is_told_less_often() -> None:
    game = begin(interest=nc.Radius(2000, slower={500: 4}))
    guest = enter(game, "Ada")
    near = game.host.world.spawn(Scout, x=200)
    far = game.host.world.spawn(Scout, x=1500)
    told = {near.handle: 0, far.handle: 0}
    game.run(0.5)
    held = {scout.handle: scout.y for scout in guest.authoritative[Scout]}
    for step in range(1, 241):
        near.y = far.y = float(step)
        game.run(1 / 60)
        now = {scout.handle: scout.y for scout in guest.authoritative[Scout]}
        for handle in told:
            told[handle] += now[handle] != held[handle]
        held = now
    assert 75 <= told[near.handle] <= 80
    assert 18 <= told[far.handle] <= 21
    assert game.host.explain(game.player_of(guest), far).interval == 4


def test_explain_tells_sent_unchanged_and_gone_and_what_each_field_cost() -> None:
    game = begin()
    guest = enter(game, "Ada")
    player = game.player_of(guest)
    other = game.host.world.spawn(Scout, x=50)
    game.run(0.5)
    assert game.host.explain(player, other).verdict == "unchanged"
    other.team = 5

    def changed(step: nc.Step) -> None:
        other.x += 1.0

    game.host.on_tick.append(changed)
    game.run(0.05)
    explanation = game.host.explain(player, other)
    assert explanation.verdict == "sent"
    assert explanation.bits["x"] > 0
    assert "x: " in str(explanation)
    game.run(0.5)
    stats = game.host.state_stats(player)
    assert stats.sent >= 1
    assert stats.culled == 0
    assert stats.bytes_by_field["Scout"]["x"] > 0
    assert stats.bytes_by_field["Scout"]["(entry)"] > 0
    assert stats.bytes_by_field["Scout"]["cloaked"] < stats.bytes_by_field["Scout"]["x"]
    game.host.world.despawn(other)
    game.host.on_tick.clear()
    game.run(0.1)
    assert game.host.explain(player, other).verdict == "gone"


def test_a_spectator_looks_from_wherever_it_is_put() -> None:
    game = begin(interest=nc.Radius(300))
    guest = enter(game, "Ada")
    there = game.host.world.spawn(Scout, x=-3000, y=3000)
    game.run(0.3)
    assert there.handle not in scouts(guest)
    game.player_of(guest).viewpoint = (-3000, 3000)
    game.run(0.5)
    assert there.handle in scouts(guest)
    own = guest.own(Scout)
    assert own is not None, "what one controls is always told"
