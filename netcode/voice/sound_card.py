"""What is plugged in, and why it cannot be used, in words: the way to miniaudio.

miniaudio is an extra and is imported when it is used, not before. All functions here raise
`VoiceError`, whose text names the fix, where there is no sound.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from netcode.errors import VoiceError

Kind = Literal["microphone", "speaker"]


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone or a loudspeaker. ``id`` is the system's own name of it, and stays the same;
    ``name`` is for people, and two devices may share it."""

    id: str
    name: str


DEFAULT = Device("", "the default device")
"""Whatever the system is set to."""


def library() -> Any:
    """miniaudio. Raises `VoiceError`, which says how to get it, where it is missing."""
    try:
        return importlib.import_module("miniaudio")
    except ImportError as error:
        raise VoiceError(
            f"microphones and speakers need the extra voice: pip install netcode[voice] ({error})"
        ) from error


def backends(miniaudio: Any) -> list[Any]:
    """The sound systems to try, the best first; never the one that swallows everything."""
    enabled = miniaudio.get_enabled_backends()
    not_real = (miniaudio.Backend.CUSTOM, miniaudio.Backend.NULL)
    return [one for one in miniaudio.Backend if one in enabled and one not in not_real]


def listed(kind: Kind) -> list[tuple[Device, Any]]:
    """Devices of a kind, with miniaudio's own ids of them."""
    miniaudio = library()
    try:
        present: Any = miniaudio.Devices(backends(miniaudio))
        found = present.get_captures() if kind == "microphone" else present.get_playbacks()
    except miniaudio.MiniaudioError as error:
        raise explained(miniaudio, kind, DEFAULT, error) from error
    return [(Device(_text_of(miniaudio, one["id"]), one["name"]), one["id"]) for one in found]


def find(kind: Kind, wanted: str | None) -> tuple[Device, Any] | None:
    """The device with this id, or else with this name."""
    present = listed(kind)
    by_id = [one for one in present if one[0].id == wanted]
    by_name = [one for one in present if one[0].name == wanted]
    return next(iter(by_id + by_name), None)


def _text_of(miniaudio: Any, device_id: Any) -> str:
    """An id as text. It is a union of what systems use: text, wide text, a number, a GUID."""
    raw = bytes(miniaudio.ffi.buffer(device_id)).rstrip(b"\0")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return raw.hex()
    return text if text.isprintable() else raw.hex()


def explained(miniaudio: Any, kind: Kind, device: Device, error: Exception) -> VoiceError:
    """What went wrong, and what to do. miniaudio gives a text and the number of the reason."""
    number = error.args[1] if len(error.args) > 1 else None
    settings = "the system's settings of sound"
    if number == miniaudio.lib.MA_ACCESS_DENIED:
        fix = f"allow this program the {kind} in the system's settings of privacy"
    elif number == miniaudio.lib.MA_BUSY:
        fix = "another program has it for itself: close that one"
    elif number == miniaudio.lib.MA_NO_BACKEND:
        fix = "there is no sound system here: start one (PulseAudio, PipeWire), or do without"
    elif device is DEFAULT:
        fix = f"no {kind} was found: plug one in, and choose it in {settings}"
    else:
        fix = f"see whether it works in {settings}"
    reason = " ".join(str(part) for part in error.args)
    return VoiceError(f"the {kind} ({device.name}) cannot be used ({reason}): {fix}")
