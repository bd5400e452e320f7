"""``python -m benchmarks NAME [--quick] [--json FILE]``: answer one question, or list them."""

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import report

HERE = Path(__file__).parent


def questions() -> dict[str, str]:
    """Return name -> docstring of every question, without importing any.

    A question is a module of this package that defines ``add_arguments`` and ``run``.
    """
    found = {}
    for path in sorted(HERE.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"), path.name)
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if {"add_arguments", "run"} <= functions:
            found[path.stem] = ast.get_docstring(tree) or ""
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit code: 2 for a question that nobody asks."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = questions()
    if not arguments or arguments[0] in ("-h", "--help"):
        _list(known)
        return 0
    name, *rest = arguments
    if name not in known:
        print(f"no question is called {name!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2

    question = importlib.import_module(f"benchmarks.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=known[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes: to see that it works"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    question.add_arguments(parser)
    args = parser.parse_args(rest)

    rows = question.run(args)
    report.print_table(name, rows)
    if args.json is not None:
        report.write_json(args.json, name, rows)
    return 0


def _list(known: dict[str, str]) -> None:
    table = Table("name", "question", title="python -m benchmarks NAME", box=None)
    for name, page in known.items():
        table.add_row(name, page.partition("\n")[0])
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
