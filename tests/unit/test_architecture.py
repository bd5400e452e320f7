"""The house stands as it was drawn: pure rooms, arrows that run downwards, short files."""

import ast
import importlib
import inspect
import pkgutil
import sys
from functools import cache
from operator import attrgetter
from pathlib import Path

import pytest

import netcode

ROOT = Path(netcode.__file__).parent.parent
PACKAGES = ("netcode", "signaling", "demo_game")

FLOORS = (
    ("netcode.rungs",),
    ("netcode.errors", "netcode.transports.base"),
    ("netcode.link.delivery", "netcode.steps"),
    ("netcode.fields",),
    ("netcode.vectors", "netcode.binary"),
    ("netcode.declarations",),
    ("netcode.wire",),
    ("netcode.protocol", "netcode.world"),
    ("netcode.sync", "netcode.play", "netcode.voice"),
    ("netcode.link",),
    ("netcode.core",),
    ("netcode.transports",),
    ("netcode.doors", "netcode.introductions", "netcode.switching", "netcode.testing"),
    ("netcode.ladder", "netcode.membership", "netcode.relay"),
    ("netcode.reach", "netcode.watch", "netcode.server_voice"),
    ("netcode.lifeline",),
    ("netcode.server", "netcode.mesh"),
    ("netcode.client",),
    ("netcode",),
    ("netcode.tools",),
    ("netcode.__main__",),
)
"""The house from the ground up. A module belongs to the room with the longest name that fits; it
may import from its own room and from floors below, never from a neighbour on its floor."""

PURE_ROOMS = ("world", "wire", "sync", "play", "link")
IMPURE = {
    "aioice",
    "aiortc",
    "asyncio",
    "concurrent",
    "pygame",
    "random",
    "socket",
    "threading",
    "time",
    "websockets",
}
ALLOWED = {("netcode.play.step", "random")}
"""`Step.random` makes a `random.Random` from the seed, the tick and the entity, and from nothing
else."""

PURE_VOICE = (
    "activity",
    "arrivals",
    "forwarding",
    "headers",
    "jitter_buffer",
    "mixing",
    "opus",
    "policies",
    "rtp",
    "sinks",
    "sources",
    "stretching",
    "talker",
)
"""Modules of voice that know no clock and no thread."""

PURE_SIGNALING = (
    "credentials",
    "hosts",
    "limits",
    "messages",
    "outgoing",
    "parcels",
    "rooms",
    "turn.allocations",
    "turn.framing",
    "turn.limits",
    "turn.outside",
    "turn.peers",
    "turn.relay",
    "turn.requests",
    "turn.strangers",
    "turn.stun",
)
"""Modules of signaling without input or output."""

CODEC = {("signaling.turn.stun", "aioice")}
"""Only its codec, which does nothing but encode and decode."""

LONGEST = 500

ASKED_BY_FIELDS = {
    "World": {"text_id", "text", "handle_of", "entity_at"},
    "Table": {"read", "write", "handle", "is_mine", "fade_of"},
    "PastTable": {"read", "write", "handle", "is_mine", "fade_of"},
    "Everything": {"visible"},
    "Radius": {"visible"},
}
"""Methods that a protocol of the house asks for, where they are explained: `Context` of fields,
the table that an entity looks at, `Interest`."""


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, also inside functions; names of submodules in full."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                is_module = (ROOT / Path(*inner.split("."))).with_suffix(".py").exists()
                found.add(inner if is_module else module)
    return frozenset(found)


def room_of(module: str) -> tuple[int, str]:
    """The floor and the room of a module."""
    rooms = [
        (len(room), floor, room)
        for floor, floors_rooms in enumerate(FLOORS)
        for room in floors_rooms
        if module == room or module.startswith(room + ".")
    ]
    _, floor, room = max(rooms)
    return floor, room


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


EVERY_FILE = pytest.mark.parametrize(
    "path", [p for name in PACKAGES for p in files(name)], ids=name_of
)
NETCODE = pytest.mark.parametrize("path", files("netcode"), ids=name_of)
PURE = pytest.mark.parametrize(
    "path", [p for room in PURE_ROOMS for p in files(f"netcode/{room}")], ids=name_of
)


@NETCODE
def test_arrows_run_downwards_only(path: Path) -> None:
    floor, room = room_of(module_of(path))
    for imported in imports(path):
        if imported.split(".")[0] != "netcode":
            continue
        below, other = room_of(imported)
        assert other == room or below < floor, f"{room} must not import {imported}"


@NETCODE
def test_every_module_has_a_room_of_its_own(path: Path) -> None:
    module = module_of(path)
    package = path.parent.name if path.name == "__init__.py" else ""
    if module != "netcode" and package != "transports":
        assert room_of(module)[1] != "netcode", f"give {module} a place in FLOORS"


@PURE
def test_pure_rooms_know_no_clock_no_chance_and_no_network(path: Path) -> None:
    module = module_of(path)
    for imported in imports(path):
        top = imported.split(".")[0]
        assert top not in IMPURE or (module, top) in ALLOWED, f"{module} imports {imported}"


def test_the_exceptions_are_still_needed() -> None:
    for module, top in ALLOWED:
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        assert top in {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", files("signaling"), ids=name_of)
def test_signaling_knows_nothing_of_netcode(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] in ("netcode", "demo_game")}


@pytest.mark.parametrize("name", PURE_SIGNALING)
def test_the_rules_of_signaling_are_pure(name: str) -> None:
    path = ROOT / Path("signaling", *name.split(".")).with_suffix(".py")
    for imported in imports(path):
        top = imported.split(".")[0]
        assert top not in IMPURE or (module_of(path), top) in CODEC, f"{name} imports {imported}"


@pytest.mark.parametrize("name", PURE_VOICE)
def test_the_rules_of_voice_are_pure(name: str) -> None:
    for imported in imports(ROOT / "netcode" / "voice" / f"{name}.py"):
        assert imported.split(".")[0] not in IMPURE, f"{name} imports {imported}"


@NETCODE
def test_netcode_knows_nothing_of_games(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] in ("demo_game", "pygame")}


def test_the_demos_simulation_runs_without_screen_and_network() -> None:
    seen: set[str] = set()
    todo = ["demo_game.simulation"]
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        names = imports(ROOT / Path(*module.split(".")).with_suffix(".py"))
        assert not {name.split(".")[0] for name in names} & {"pygame", "asyncio"}, module
        todo += [name for name in names if name.startswith("demo_game.")]


@EVERY_FILE
def test_no_file_is_named_like_a_standard_module(path: Path) -> None:
    allowed = {"__init__", "__main__"}
    names = {path.stem, path.parent.name}
    assert not (names - allowed) & sys.stdlib_module_names


@EVERY_FILE
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines: give one of its subjects a file of its own"


@EVERY_FILE
def test_every_file_says_what_it_is_for(path: Path) -> None:
    documented = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert documented, "begin with the idea"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_is_a_package_that_says_what_may_enter(package: str) -> None:
    for folder in {path.parent for path in files(package)}:
        assert (folder / "__init__.py").exists()


@pytest.mark.parametrize(
    "name", [*netcode.__all__, *(f"testing.{name}" for name in netcode.testing.__all__)]
)
def test_public_names_exist_and_are_documented(name: str) -> None:
    public = attrgetter(name)(netcode)
    if not (inspect.isclass(public) or inspect.isfunction(public)):
        return
    assert inspect.getdoc(public)
    if not inspect.isclass(public) or not public.__module__.startswith("netcode"):
        return
    for attribute, value in vars(public).items():
        if attribute.startswith("_") or attribute in ASKED_BY_FIELDS.get(name, ()):
            continue
        function = value.fget if isinstance(value, property) else value
        function = getattr(function, "__func__", function)
        if inspect.isfunction(function) and not _is_simple(function):
            assert inspect.getdoc(getattr(public, attribute)), f"{name}.{attribute}"


def _is_simple(function: object) -> bool:
    """Names that say everything need no sentence: a property of one expression."""
    lines = inspect.getsource(function).strip().splitlines()  # type: ignore[arg-type]
    return lines[0].startswith("@property") and len(lines) <= 4


def test_all_names_are_sorted_out_once() -> None:
    assert len(set(netcode.__all__)) == len(netcode.__all__)
    public = {name for name in vars(netcode) if not name.startswith("_")}
    submodules = {module.name for module in pkgutil.iter_modules(netcode.__path__)}
    assert public - submodules <= set(netcode.__all__)


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_pure_rooms_do_nothing_when_they_are_imported(room: str) -> None:
    """No statement at the top of a module but definitions, constants and docstrings."""
    for path in files(f"netcode/{room}"):
        importlib.import_module(module_of(path))
        for node in ast.parse(path.read_text("utf-8")).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert is_docstring or not isinstance(
                node, (ast.Expr, ast.For, ast.While, ast.With, ast.Try)
            ), f"{path.name}:{node.lineno}"
