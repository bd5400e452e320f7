"""How an answer is shown: a table for people, and the same rows as JSON for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure."""

    case: str
    """What was measured, as ``"websocket/loss5"``."""
    metric: str
    """Which figure of it, as ``"latency_p99_ms"``."""
    value: float
    unit: str
    """``"ms"``, ``"%"``, ``"x"`` for a ratio."""


def machine() -> dict[str, str | int]:
    """Return what the figures depend on: ``cpu``, ``cores``, ``python`` and ``os``."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "os": platform.platform(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def write_json(path: Path, benchmark: str, rows: Sequence[Row]) -> None:
    """Write ``{"benchmark", "machine", "rows": [{"case", "metric", "value", "unit"}]}``."""
    answer = {
        "benchmark": benchmark,
        "machine": machine(),
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(answer, indent=1) + "\n", "utf-8")


def print_table(benchmark: str, rows: Sequence[Row]) -> None:
    """Print one line per case and one column per metric, in the order in which they came."""
    units = {row.metric: row.unit for row in rows}
    values = {(row.case, row.metric): row.value for row in rows}
    host = machine()
    caption = f"{host['cpu']} · {host['cores']} cores · {host['python']} · {host['os']}"
    table = Table(title=benchmark, caption=caption, box=box.SIMPLE_HEAD)
    table.add_column("case", no_wrap=True)
    for metric, unit in units.items():
        table.add_column(_heading(metric, unit), justify="right")
    for case in dict.fromkeys(row.case for row in rows):
        cells = (values.get((case, metric)) for metric in units)
        table.add_row(case, *("" if value is None else _figure(value) for value in cells))
    # A table in a file or a narrow window is better wide than with its figures cut off.
    needed = Console(width=1_000).measure(table).maximum
    console = Console()
    (console if needed <= console.width else Console(width=needed)).print(table)


def _heading(metric: str, unit: str) -> str:
    words = metric.removesuffix(f"_{unit}").removesuffix("_percent").split("_")
    return "\n".join((*words, f"({unit})"))


def _figure(value: float) -> str:
    """Three significant digits where there are fewer than that before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def note(text: str) -> None:
    """Say something that belongs to the answer and is no figure, on stderr."""
    Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)


def progress() -> Progress:
    """Return a progress display on stderr, to be used as a context manager."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
