"""What a game declares, and what it may not."""

from typing import Any

import pytest

import netcode as nc
from netcode.errors import ProtocolError, StaleEntityError, UsageError
from netcode.world.world import World


class Thing(nc.Entity):
    x = nc.Float(0, 10, step=1)
    other = nc.Ref("Thing")


class Armed(Thing):
    ammo = nc.Int(0, 9, default=3)


class Steer(nc.Input):
    turn = nc.Int(-1, 1)
    fire = nc.Bool(edge=True)
    scroll = nc.Int(-100, 100, edge=True)
    zoom = nc.Float(-5, 5, step=0.5, edge=True)
    aim = nc.Angle()


class Chat(nc.Message):
    text = nc.Text(max_bytes=20)
    loud = nc.Bool()


# -- classes ---------------------------------------------------------------------------------


def test_fields_of_bases_come_first() -> None:
    assert [field.name for field in Armed.fields] == ["x", "other", "ammo"]
    assert [field.name for field in Thing.fields] == ["x", "other"]
    assert repr(Armed.fields[0]) == "Thing.x"


def test_a_diamond_has_each_field_once() -> None:
    class Left(Thing):
        a = nc.Bool()

    class Right(Thing):
        b = nc.Bool()

    class Both(Left, Right):
        pass

    assert [field.name for field in Both.fields] == ["x", "other", "a", "b"]


def test_two_bases_may_not_mean_different_things_by_one_name() -> None:
    class Left(nc.Entity):
        a = nc.Bool()

    class Right(nc.Entity):
        a = nc.Int(0, 5)

    with pytest.raises(ProtocolError, match=r"Left\.a and Right\.a"):
        type("Both", (Left, Right), {})


@pytest.mark.parametrize("value", [nc.Int(0, 1), 5, property(lambda self: 1)])
def test_a_field_may_not_be_hidden(value: Any) -> None:
    with pytest.raises(ProtocolError, match=r"hides Thing\.x"):
        type("Child", (Thing,), {"x": value})


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (nc.Entity, "alive"), (nc.Entity, "handle"), (nc.Entity, "mine"), (nc.Entity, "fields"),
        (nc.Entity, "_hidden"), (nc.Input, "held"), (nc.Input, "merged_with"),
        (nc.Message, "delivery"),
    ],
)  # fmt: skip
def test_names_that_the_classes_use_themselves_are_taken(base: type, name: str) -> None:
    with pytest.raises(ProtocolError, match="taken"):
        type("Mine", (base,), {name: nc.Bool()})


def test_names_that_tables_use_are_free() -> None:
    class Boulder(nc.Entity):
        size = nc.Int(0, 9)
        owner = nc.Int(0, 9)
        kind = nc.Int(0, 9)

    boulder = World([Boulder]).spawn(Boulder, size=4, owner=5, kind=6)
    boulder.size += 1
    assert (boulder.size, boulder.owner, boulder.kind) == (5, 5, 6)


def test_a_field_object_serves_one_attribute() -> None:
    shared = nc.Bool()
    with pytest.raises(ProtocolError, match="shares its field object"):
        type("Twice", (nc.Entity,), {"a": shared, "b": shared})
    with pytest.raises(ProtocolError, match="shares its field object"):
        type("Again", (nc.Message,), {"c": shared})


def test_a_mixin_that_lets_anything_be_set_is_refused() -> None:
    class Loose:
        pass

    class Tight:
        __slots__ = ()

        def twice(self) -> float:
            return 2 * self.x  # type: ignore[attr-defined, no-any-return]

    with pytest.raises(ProtocolError, match="__slots__"):
        type("Mixed", (Loose, nc.Entity), {"x": nc.Bool()})

    class Mixed(Tight, nc.Entity):
        x = nc.Float(0, 10, step=1)

    assert World([Mixed]).spawn(Mixed, x=2).twice() == 4


def test_classes_may_hold_constants_and_methods() -> None:
    class Rocket(nc.Entity):
        THRUST = 9.5
        x = nc.Float(0, 10, step=1)

        def doubled(self) -> float:
            return 2 * self.x

    rocket = World([Rocket]).spawn(Rocket, x=3)
    assert (rocket.doubled(), rocket.THRUST) == (6, 9.5)


@pytest.mark.parametrize("delivery", ["RELIABLE", 5, nc.EXPIRING])
def test_a_delivery_is_one_of_the_deliveries(delivery: Any) -> None:
    with pytest.raises(ProtocolError, match="delivery must be"):
        type("Spark", (nc.Message,), {}, delivery=delivery)


def test_a_message_is_reliable_unless_it_says_otherwise() -> None:
    class Spark(nc.Message, delivery=nc.UNRELIABLE):
        pass

    class Flash(Spark):
        pass

    assert (Chat.delivery, Spark.delivery, Flash.delivery) == (
        nc.RELIABLE,
        nc.UNRELIABLE,
        nc.UNRELIABLE,
    )


# -- entities --------------------------------------------------------------------------------


def test_entities_are_not_made_by_calling_their_class() -> None:
    with pytest.raises(UsageError, match=r"world\.spawn\(Thing"):
        Thing()


@pytest.mark.parametrize(
    "record", [lambda: World([Thing]).spawn(Thing), Steer, Chat], ids=["entity", "input", "message"]
)
def test_an_undeclared_attribute_raises(record: Any) -> None:
    with pytest.raises(AttributeError):
        record().speed = 3


def test_an_entity_that_is_gone_says_so() -> None:
    world = World([Thing])
    thing = world.spawn(Thing)
    world.despawn(thing)
    assert (thing.alive, thing.mine, thing.handle) == (False, False, -1)
    assert repr(thing) == "<Thing (despawned)>"
    with pytest.raises(StaleEntityError, match=r"Thing\.x was read"):
        _ = thing.x
    with pytest.raises(StaleEntityError, match=r"Thing\.x was written"):
        thing.x = 1.0


def test_entities_that_refer_to_each_other_can_be_shown() -> None:
    world = World([Thing])
    one, two = world.spawn(Thing), world.spawn(Thing)
    one.other, two.other = two, one
    assert repr(one) == "<Thing x=0.0, other=<Thing 1>>"


def test_mine_is_what_the_table_says_is_mine() -> None:
    world = World([Thing])
    thing = world.spawn(Thing)
    table = world.table(Thing)
    table.own(0, 2)
    assert not thing.mine
    table.me = 2
    assert thing.mine
    table.me = 1
    assert not thing.mine


# -- records ---------------------------------------------------------------------------------


def test_records_are_equal_by_kind_and_value() -> None:
    class Whisper(Chat):
        pass

    assert Chat(text="a") == Chat(text="a", loud=False)
    assert Chat(text="a") != Chat(text="b")
    assert Chat(text="a") != Whisper(text="a")
    assert Chat() != "Chat"
    with pytest.raises(TypeError):
        hash(Chat())


def test_records_show_their_values() -> None:
    assert repr(Chat(text="hi")) == "Chat(text='hi', loud=False)"


def test_an_unknown_field_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no field 'txt'; its fields are: text, loud"):
        Chat(txt="hi")


def test_a_text_is_cut_as_it_is_set() -> None:
    assert Chat(text="x" * 30).text == "x" * 20


def test_held_inputs_keep_the_latest_and_edges_accumulate() -> None:
    first = Steer(turn=1, fire=True, scroll=2, zoom=0.5, aim=1.0)
    later = Steer(turn=-1, fire=False, scroll=3, zoom=1.0, aim=2.0)
    merged = first.merged_with(later)
    assert merged == Steer(turn=-1, fire=True, scroll=5, zoom=1.5, aim=2.0)
    assert first == Steer(turn=1, fire=True, scroll=2, zoom=0.5, aim=1.0)
    assert later.scroll == 3


def test_a_press_counts_in_whatever_frame_it_was() -> None:
    frames = [Steer(fire=index == 2) for index in range(5)]
    merged = frames[0]
    for frame in frames[1:]:
        merged = merged.merged_with(frame)
    assert merged.fire


def test_what_goes_on_has_its_edges_at_rest() -> None:
    given = Steer(turn=1, fire=True, scroll=2, zoom=0.5, aim=1.0)
    assert given.held() == Steer(turn=1, aim=1.0)
    assert given.fire


class Bullet(Thing, predicted=True, fade=0.25):
    speed = nc.Float(0, 10, step=0.1)


def test_a_predicted_class_has_a_hidden_field_for_its_owner() -> None:
    *told, hidden = Bullet.fields
    assert [field.name for field in told] == [*(f.name for f in Thing.fields), "speed"]
    assert hidden.only_owner
    assert hidden.name not in repr(nc.World([Bullet]).spawn(Bullet))
    with pytest.raises(nc.UsageError) as raised:
        nc.World([Bullet]).spawn(Bullet, nothing=1)
    assert hidden.name not in str(raised.value)


def test_what_inherits_from_a_predicted_class_is_one_and_has_the_field_once() -> None:
    class Rocket(Bullet):
        pass

    class Mine(Bullet, predicted=True):
        pass

    for kind in (Rocket, Mine):
        assert [f.name for f in kind.fields].count(Bullet.fields[-1].name) == 1
        assert kind._predicted
        assert kind._fade == 0.25
    with pytest.raises(nc.ProtocolError, match="inherits from a predicted class"):
        type("Plain", (Bullet,), {}, predicted=False)


@pytest.mark.parametrize("fade", [-1, 5.5, float("nan"), True, "1"])
def test_a_fade_is_a_few_seconds(fade: Any) -> None:
    with pytest.raises(nc.ProtocolError, match="fade"):
        type("Ghost", (nc.Entity,), {}, fade=fade)


def test_a_message_is_timed_if_it_says_so_and_so_are_its_heirs() -> None:
    class Bang(nc.Message, timed=True):
        pass

    class Boom(Bang, delivery=nc.UNRELIABLE):
        pass

    assert (Chat.timed, Bang.timed, Boom.timed) == (False, True, True)


@pytest.mark.parametrize("teleport", [0, -3, float("nan"), True, "far"])
def test_a_teleport_is_a_distance(teleport: Any) -> None:
    for kind in (nc.Float, nc.Vec2, nc.Vec3):
        with pytest.raises(nc.ProtocolError, match="teleport"):
            kind(0, 10, step=1, teleport=teleport)
