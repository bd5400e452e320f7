"""How does it feel? What a player sees and does, over every kind of line.

Two players and the targets of `feel_game` in memory, over lines of a preset's weather both ways, by
a manual clock: deterministic for a seed. Everything is netcode's default (60 ticks and 20
broadcasts a second, 30 input packets). Both screens show 60 frames a second. The pilot flies with
random reversals of thrust and presses keys; the watcher looks at eight targets that reverse at
random, 430 units a second, per second, up to 380 a second, and shoots at four that cross at 380.
A unit is a pixel of the demo's window.

- input to own screen: from the key going down, at some moment between two frames, to the end of the
  frame in which the own ship turns. One frame at 60 Hz is 16.7 ms.
- input to other screen: from then to the frame of the watcher's screen that shows its effect.
- display error: from where a target is shown to its true path at the tick that is shown.
- jerk ratio: root mean square of the second differences of the displayed path, frame by frame, by
  that of the true one. 1 is perfect smoothness; it counts every kink in full.
- stall: the longest time in which a target that moves was shown to move by less than a tenth of it.
- interpolation delay: how far the display lies behind a snapshot that arrives as quickly as any.
- lead: how far the pilot's simulation runs ahead of the server's.
- corrections: times a minute that the pilot's own ship had to be put elsewhere than predicted.
- shots agreed: shots of which the server, looking into the past, says of all four targets what the
  shooter had seen in the frame before: hit or missed. Shots go up to two radii beside a target.

| case | what |
|---|---|
| `lan` … `terrible` | the presets of the design |
| `lte` | the recorded line of `--trace`, up and down; the session is given 20 s of patience |
| `loss5/alone` | ten minutes of flying alone: how far each snapshot is from what was predicted |
| `loss5/as received` | without prediction, interpolation and rewinding: what arrives |

Goals: the own ship answers within a frame; on `loss5` 99.9 % of snapshots are within a pixel of
the prediction and remote ships within 4 px (p99); no stall above 60 ms on `4g`; 99 % of shots
agree; the delay's median is at most 110 ms on `wifi` and 160 ms on `4g`.

What a minute holds of bad luck differs from seed to seed. With seed 1 all goals are met. With seed
2 `4g` loses 15 snapshots in a row (0.75 s) while a target is turning round: by what was last known
of it, it stands, and it stood for 450 ms on the screen; 98.7 % of the shots agreed, and the error's
p99 was 13 px. Nothing that comes later could have told, and waiting for it would delay all else.

What was tried (two other settings of each, 40 s on `loss5` and `4g`):

- how many snapshots the delay waits for (`tick_clock.COVERED`): 90 % instead of 95 is 18 ms quicker
  on `loss5`, with an error of 0.64 instead of 0.40 px; 98 % is 24 ms slower, with 0.18 px.
- how long an error takes to be let go (`interpolation.LETTING_GO`): 0.3 s instead of 0.15 has a
  jerk ratio of 1.11 instead of 1.22 on `4g`, and twice the error; 0.08 s gains nothing.
- letting the lead follow the latest of all inputs instead of 98 %: on `4g`, after a burst of loss,
  everybody saw the pilot a quarter of a second later for half a minute. Letting 0.5 % come late
  instead of 2 % has four corrections in ten minutes of flying alone instead of eleven, of which
  three instead of two are above a pixel, for 10 ms more to the other screen.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.feel_game import Figures, Weather, fly_alone, play
from benchmarks.report import Row, note, progress
from netcode.testing import FRAME
from netcode.transports.link_model import lte

PRESETS = ("lan", "wifi", "4g", "loss5", "terrible")
PLAIN = "loss5/as received"
ALONE = "loss5/alone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this question."""
    parser.add_argument("--trace", type=Path, metavar="FILE", help="recorded line: X.up or X.down")
    parser.add_argument("--seconds", type=float, default=None, help="of each case (default 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", nargs="*", default=None, metavar="CASE", help="only these")


def run(args: argparse.Namespace) -> list[Row]:
    """Play every case."""
    seconds = args.seconds or (8.0 if args.quick else 60.0)
    lines: dict[str, Weather] = {name: name for name in PRESETS}
    if args.trace is not None:
        lines["lte"] = lte(args.trace)
    elif not args.cases:
        note("lte is left out: name its recording with --trace FILE")
    known = [*lines, ALONE, PLAIN]
    wanted = args.cases or known
    for name in wanted:
        if name not in known:
            raise SystemExit(f"no case is called {name!r}; there are: {', '.join(known)}")
    rows: list[Row] = []
    with progress() as bar:
        task = bar.add_task("playing", total=len(wanted))
        for name in wanted:
            bar.update(task, description=name)
            if name == ALONE:
                rows += _alone(name, 30.0 if args.quick else 600.0, args.seed)
            elif name == PLAIN:
                figures, _ = play("loss5", seconds, args.seed, plain=True)
                rows += _rows(name, figures, None)
            else:
                figures, pilot = play(lines[name], seconds, args.seed)
                rows += _rows(name, figures, pilot.stats.corrections / (seconds / 60))
            bar.advance(task)
    note(f"seed {args.seed}, {seconds:g} s for each case")
    return rows


def _rows(case: str, figures: Figures, corrections: float | None) -> list[Row]:
    bends = [np.mean(squares) for squares in (figures.shown_bends, figures.true_bends)]
    rows = [
        Row(case, "input_to_own_screen_ms", 1e3 * _at(figures.own, 99), "ms"),
        Row(case, "input_to_other_screen_ms_p50", 1e3 * _at(figures.other, 50), "ms"),
        Row(case, "input_to_other_screen_ms_p99", 1e3 * _at(figures.other, 99), "ms"),
        Row(case, "display_error_px_p99", _at(figures.errors, 99), "px"),
        Row(case, "jerk_ratio", math.sqrt(bends[0] / bends[1]), "x"),
        Row(case, "stall_ms_max", 1e3 * FRAME * figures.longest_stall, "ms"),
        Row(case, "interpolation_delay_ms_p50", 1e3 * _at(figures.delays, 50), "ms"),
        Row(case, "lead_ms_p50", 1e3 * _at(figures.leads, 50), "ms"),
        Row(case, "shots_agreed_percent", 100 * figures.agreed / max(1, figures.shots), "%"),
    ]
    if corrections is not None:
        rows.insert(8, Row(case, "corrections_per_minute", corrections, "1/min"))
    return rows


def _alone(case: str, seconds: float, seed: int) -> list[Row]:
    surprises, snapshots = fly_alone("loss5", seconds, seed)
    below = sum(size < 1.0 for size in surprises) + snapshots - len(surprises)
    return [
        Row(case, "corrections_per_minute", len(surprises) / (seconds / 60), "1/min"),
        Row(case, "snapshots_within_1_px_percent", 100 * below / snapshots, "%"),
        Row(case, "largest_correction_px", max(surprises, default=0.0), "px"),
    ]


def _at(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else math.nan
