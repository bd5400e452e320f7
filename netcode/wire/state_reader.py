"""The state reader: the body of one state packet, taken apart into sections.

What stands in the bits, without knowing what any row held before; `sync.receiver` makes values of
it. Mirror of the state writer and of `sync.coder`; see WIRE_FORMAT.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netcode.errors import WireError
from netcode.fields import GENERATIONS, Field, Text
from netcode.wire.bits import BitReader, Ints
from netcode.wire.state_writer import END, K_BITS, ROW_BITS

REST, SPARSE, DENSE = 0, 1, 2
"""How a lane of the updated rows is said."""

EXACT = 31
"""Stands for the Rice parameter when every residual of a lane is 0."""
PREDICTOR_BITS = 3
PARAMETER_BITS = 5
MAX_AGE = 63
"""The oldest age that an entry can tell: the server begins older epochs anew."""


@dataclass(slots=True)
class LaneKind:
    """What the reader must know of a lane of a part."""

    bits: int
    text: Text | None


def lane_kinds(fields: Sequence[Field[object]]) -> list[LaneKind]:
    """The lanes of these fields, in order."""
    return [
        LaneKind(width, described if isinstance(described, Text) else None)
        for described in fields
        for width in described.lane_bits
    ]


@dataclass(slots=True)
class LaneUpdate:
    """One lane of the updated rows."""

    mode: int
    predictor: int = 0
    codes: Ints | None = None
    """DENSE: the zigzag residuals of the rows that are not exact; None if all are 0."""
    places: Ints | None = None
    """SPARSE: which of the updated rows, by their place in the list."""
    values: Ints | None = None
    """SPARSE: their values; of a text its place among the section's texts."""


@dataclass(slots=True)
class Section:
    """What a packet says of one part."""

    part: int
    updated: Ints
    exact: NDArray[np.bool_]
    """Of the updated rows: those exactly as predicted, which have no residuals."""
    lanes: list[LaneUpdate]
    entered: Ints
    generation: Ints
    controlled: NDArray[np.bool_]
    interval: Ints
    """Broadcasts from one update to the next: 1, 2, 4 or 8."""
    age: Ints
    """Broadcasts since the epoch began."""
    values: Ints
    """Of the entered rows: (rows, lanes); of a text its place among the section's texts."""
    left: Ints
    texts: list[str] = field(default_factory=list)


_NO_ROWS = np.zeros(0, dtype=np.int64)
_NO_FLAGS = np.zeros(0, dtype=np.bool_)


def read_body(data: bytes, parts: Sequence[list[LaneKind]], sizes: Sequence[int]) -> list[Section]:
    """The sections of a body. ``sizes`` are the rows of each part that have room.

    Raises `WireError`. Rows that are updated must have been entered once, so that the work is
    bounded by what has honestly been told.
    """
    body = BitReader(data)
    sections: list[Section] = []
    before = -1
    while (part := body.read_one(8)) != END:
        if not before < part < len(parts):
            raise WireError(f"part {part} after part {before}, of {len(parts)}")
        sections.append(_read_section(part, body, parts[part], sizes[part]))
        before = part
    body.expect_end()
    return sections


def _read_section(part: int, body: BitReader, lanes: list[LaneKind], size: int) -> Section:
    updates, entries, leaves = (body.read_counted() for _ in range(3))
    section = Section(
        part=part,
        updated=_NO_ROWS,
        exact=_NO_FLAGS,
        lanes=[],
        entered=_NO_ROWS,
        generation=_NO_ROWS,
        controlled=_NO_FLAGS,
        interval=_NO_ROWS,
        age=_NO_ROWS,
        values=np.zeros((0, len(lanes)), dtype=np.int64),
        left=_NO_ROWS,
    )
    if updates:
        _read_updates(section, body, lanes, updates, size)
    if entries:
        _read_entries(section, body, lanes, entries)
    if leaves:
        # Also of what never arrived: an entry of it that comes yet is out of date.
        section.left = _read_rows(body, leaves, 1 << ROW_BITS)
    return section


def _read_rows(body: BitReader, count: int, size: int) -> Ints:
    """A list of ``count`` rows below ``size``, ascending."""
    runs = body.read_counted()
    body.expect(2 * runs)
    k_gap, k_run = body.read_one(K_BITS), body.read_one(K_BITS)
    if not 0 < runs <= count:
        raise WireError(f"{runs} runs of {count} rows")
    k = np.repeat([k_gap, k_run], runs)
    codes = body.read_rice(k, np.full(2 * runs, ROW_BITS))
    gaps, sizes = codes[:runs], codes[runs:] + 1
    if int(sizes.sum()) != count:
        raise WireError(f"runs of {sizes.sum()} rows, not {count}")
    ends = np.cumsum(gaps + sizes) + np.arange(runs)
    if int(ends[-1]) > size:
        raise WireError(f"row {int(ends[-1]) - 1} of {size}")
    begins = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(count) + np.repeat(ends - sizes - begins, sizes))


def _read_updates(
    section: Section, body: BitReader, lanes: list[LaneKind], count: int, size: int
) -> None:
    parameters = []
    for kind in lanes:
        lane = LaneUpdate(REST)
        parameter = EXACT
        if not body.read_one(1):
            if body.read_one(1):
                lane.mode = SPARSE
            else:
                lane.mode = DENSE
                lane.predictor = body.read_one(PREDICTOR_BITS)
                parameter = body.read_one(PARAMETER_BITS)
                if kind.text is not None:
                    raise WireError("a text has no residual")
        section.lanes.append(lane)
        parameters.append(parameter)
    flagged = body.read_one(1)
    section.updated = _read_rows(body, count, size)
    section.exact = body.read_flags(count) if flagged else np.zeros(count, dtype=np.bool_)
    open_rows = count - int(np.count_nonzero(section.exact))
    coded = [i for i, parameter in enumerate(parameters) if parameter != EXACT]
    if coded and open_rows:
        body.expect(len(coded) * open_rows)
        k = np.repeat([parameters[i] for i in coded], open_rows)
        raw = np.repeat([lanes[i].bits for i in coded], open_rows)
        codes = body.read_rice(k, raw).reshape(len(coded), open_rows)
        for i, lane_codes in zip(coded, codes, strict=True):
            section.lanes[i].codes = lane_codes
    sparse = [i for i, lane in enumerate(section.lanes) if lane.mode == SPARSE]
    if sparse:
        _read_sparse(section, body, lanes, sparse, count)


def _read_sparse(
    section: Section, body: BitReader, lanes: list[LaneKind], sparse: list[int], count: int
) -> None:
    sizes, parameters = [], []
    for _ in sparse:
        said = body.read_counted()
        if said > count:
            raise WireError(f"{said} values of {count} rows")
        sizes.append(said)
        parameters.append(body.read_one(K_BITS))
    total = sum(sizes)
    body.expect(total)
    gaps = body.read_rice(np.repeat(parameters, sizes), np.full(total, ROW_BITS))
    widths = [8 if lanes[i].text is not None else lanes[i].bits for i in sparse]
    values = body.read_widths(np.repeat(widths, sizes))
    start = 0
    for i, said in zip(sparse, sizes, strict=True):
        places = np.cumsum(gaps[start : start + said] + 1) - 1
        if said and int(places[-1]) >= count:
            raise WireError(f"a value for row {int(places[-1])} of {count}")
        section.lanes[i].places = places
        section.lanes[i].values = values[start : start + said]
        start += said
    for i in sparse:
        described, numbers = lanes[i].text, section.lanes[i].values
        if described is not None and numbers is not None:
            section.lanes[i].values = _read_texts(section, body, described, numbers)


def _read_texts(section: Section, body: BitReader, described: Text, lengths: Ints) -> Ints:
    """Texts of these lengths: their places among the section's texts."""
    first = len(section.texts)
    for length in lengths.tolist():
        section.texts.append(described.from_wire(body.read_bytes(length)))
    return np.arange(first, len(section.texts))


def _read_entries(section: Section, body: BitReader, lanes: list[LaneKind], count: int) -> None:
    section.entered = _read_rows(body, count, 1 << ROW_BITS)
    heads = body.read(count, 24)
    section.generation = heads >> 9
    if section.generation.max() >= GENERATIONS:
        raise WireError("a generation is out of range")
    section.controlled = (heads >> 6 & 1).astype(np.bool_)
    section.interval = np.int64(1) << (heads >> 7 & 3)
    section.age = heads & MAX_AGE
    widths = np.array([8 if kind.text is not None else kind.bits for kind in lanes], dtype=np.int64)
    values = body.read_widths(np.repeat(widths, count)).reshape(len(lanes), count).T.copy()
    for i, kind in enumerate(lanes):
        if kind.text is not None:
            values[:, i] = _read_texts(section, body, kind.text, values[:, i])
    section.values = values
