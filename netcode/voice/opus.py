"""Opus, in 20 ms frames of one channel at 48 kHz.

The codec is libopus, called with ctypes. Nobody has to install it: PyAV, without which there is no
WebRTC here, carries it in its wheels, and else the system's is taken. PyAV's own interface to it
would not do, since it knows no way to a frame that was lost: libopus makes one up that goes on
where the last one ended (`Decoder.conceal`), or, since each packet says in a few bits more what was
in the one before, takes it from the packet behind the gap (`Decoder.recover`).

Decoders hand out one buffer again and again: copy what has to last.
"""

import ctypes
import ctypes.util
import importlib.util
import sys
import weakref
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.errors import UsageError, WireError

RATE = 48_000
"""Samples a second, and ticks a second of the RTP clock."""

FRAME = 960
"""Samples in a frame: 20 ms."""

MAX_PACKET = 1_276
"""Bytes of the longest Opus packet with one frame."""

Pcm = NDArray[np.float32]
"""Samples of one channel, -1 to 1."""

_VOIP = 2048
_SET_BITRATE = 4002
_SET_VBR = 4006
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_VBR_CONSTRAINT = 4020
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_RESET_STATE = 4028


class Encoder:
    """One voice on its way out. Not for several threads at once.

    ``bitrate`` is bits a second, 6,000 to 128,000; ``expected_loss`` is the share of packets that
    are lost on the way, 0 to 1: the more, the more bits say again what the packet before said.
    Both may be set at any time. Raises `UsageError` where there is no libopus, and for values out
    of range.
    """

    def __init__(self, bitrate: int = 28_000, expected_loss: float = 0.1) -> None:
        self._lib = _load()
        error = ctypes.c_int()
        state = self._lib.opus_encoder_create(RATE, 1, _VOIP, ctypes.byref(error))
        _check(error.value)
        self._state = ctypes.c_void_p(state)
        _free_with(self, self._lib.opus_encoder_destroy, self._state)
        self._packet = ctypes.create_string_buffer(MAX_PACKET)
        self._set(_SET_VBR, 1)
        self._set(_SET_VBR_CONSTRAINT, 1)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_INBAND_FEC, 1)
        self.bitrate = bitrate
        self.expected_loss = expected_loss

    @property
    def bitrate(self) -> int:
        """Bits a second, of which silence and simple sounds take fewer."""
        return self._bitrate

    @bitrate.setter
    def bitrate(self, value: int) -> None:
        if not 6_000 <= value <= 128_000:
            raise UsageError(f"bitrate must be 6,000 to 128,000 bits a second, not {value!r}")
        self._set(_SET_BITRATE, int(value))
        self._bitrate = int(value)

    @property
    def expected_loss(self) -> float:
        """Share of packets that the line is expected to lose, 0 to 1."""
        return self._expected_loss

    @expected_loss.setter
    def expected_loss(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise UsageError(f"expected_loss is a share, 0 to 1, not {value!r}")
        self._set(_SET_PACKET_LOSS_PERC, round(value * 100))
        self._expected_loss = float(value)

    def encode(self, pcm: Pcm) -> bytes:
        """The packet of one frame: float32, shape (960,), -1 to 1; what is louder is clipped.

        Raises `UsageError` for an array of another shape or type.
        """
        if pcm.shape != (FRAME,) or pcm.dtype != np.float32:
            raise UsageError(
                f"encode() takes float32 of shape ({FRAME},), not {pcm.dtype} of shape {pcm.shape}"
            )
        samples = np.ascontiguousarray(pcm)
        size = self._lib.opus_encode_float(
            self._state, samples.ctypes.data, FRAME, self._packet, MAX_PACKET
        )
        return self._packet.raw[: _check(size)]

    def _set(self, request: int, value: int) -> None:
        # The value is a variadic argument: where those travel in another way (macOS on ARM), ctypes
        # knows it by its not being in argtypes.
        _check(self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))


class Decoder:
    """One speaker's voice on its way in. Not for several threads at once.

    Each method returns the same float32 array of shape (960,), filled anew: the next 20 ms, going
    on without a click from the 20 ms before. Raises `UsageError` where there is no libopus.
    """

    def __init__(self) -> None:
        self._lib = _load()
        error = ctypes.c_int()
        state = self._lib.opus_decoder_create(RATE, 1, ctypes.byref(error))
        _check(error.value)
        self._state = ctypes.c_void_p(state)
        _free_with(self, self._lib.opus_decoder_destroy, self._state)
        self._pcm = np.zeros(FRAME, np.float32)
        self._address = self._pcm.ctypes.data

    def decode(self, packet: bytes) -> Pcm:
        """The frame of the packet that is next. Raises `WireError` if it is none of 20 ms."""
        self._check_length(packet)
        return self._decode(packet, lost=False)

    def recover(self, packet_after: bytes) -> Pcm:
        """The lost frame *before* this packet, from what the packet says of it.

        A packet that says nothing (see `carries_recovery`) leaves it at what `conceal` does.
        The packet itself has still to be decoded. Raises `WireError` like `decode`.
        """
        self._check_length(packet_after)
        return self._decode(packet_after, lost=True)

    def conceal(self) -> Pcm:
        """A frame in the place of one that is lost: how the voice might have gone on.

        Frame after frame of it becomes quieter.
        """
        return self._decode(None, lost=False)

    def reset(self) -> None:
        """Forgets what was decoded: what comes next follows upon silence."""
        _check(self._lib.opus_decoder_ctl(self._state, _RESET_STATE))

    def _check_length(self, packet: bytes) -> None:
        # An empty packet would mean a lost one to libopus, and one of another length would fill
        # half of the frame, or move the decoder before it fails.
        samples = self._lib.opus_packet_get_nb_samples(packet, len(packet), RATE) if packet else 0
        if samples != FRAME:
            raise WireError("not an Opus packet of 20 ms")

    def _decode(self, packet: bytes | None, lost: bool) -> Pcm:
        size = len(packet) if packet is not None else 0
        samples = self._lib.opus_decode_float(
            self._state, packet, size, self._address, FRAME, int(lost)
        )
        if samples != FRAME:
            raise WireError("an Opus packet that does not make sense")
        return self._pcm


def carries_recovery(packet: bytes) -> bool:
    """Whether a packet says something of the frame before it (RFC 6716, sections 3.1 and 4.2.4).

    Packets of two frames, or of music (CELT alone), never do here; nor does what is no packet.
    """
    if len(packet) < 2 or packet[0] & 0b11:
        return False
    mode = packet[0] >> 3
    speaks_in_20_ms = mode in (1, 5, 9, 13, 15)
    return speaks_in_20_ms and bool(packet[1] & 0b0100_0000)


def is_available() -> bool:
    """Whether there is a libopus here, so that voice can be switched on."""
    try:
        _load()
    except UsageError:
        return False
    return True


def find_library() -> str:
    """Where libopus is. Raises `UsageError`, which says what to install, if it is nowhere."""
    for path in _beside_pyav():
        return str(path)
    found = ctypes.util.find_library("opus")
    if found is None:
        raise UsageError(
            "voice needs libopus, which is in the wheels of PyAV: pip install --force-reinstall "
            "--only-binary :all: av; or install the system's (Debian: libopus0, macOS: brew "
            "install opus)"
        )
    return found


def _beside_pyav() -> list[Path]:
    """libopus in PyAV's wheel: beside the package on Linux and Windows, in it on macOS."""
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        return []
    package = Path(spec.origin).parent
    suffix = {"win32": "*.dll", "darwin": "*.dylib"}.get(sys.platform, "*.so*")
    folders = (package.parent / "av.libs", package / ".dylibs")
    return sorted(path for folder in folders for path in folder.glob(f"*opus{suffix}"))


@cache
def _load() -> ctypes.CDLL:
    path = find_library()
    try:
        lib = ctypes.CDLL(path)
        _declare(lib)
    except (OSError, AttributeError) as error:
        raise UsageError(
            f"voice needs libopus, and {path} cannot be used ({error}): pip install "
            "--force-reinstall --only-binary :all: av"
        ) from error
    return lib


def _declare(lib: ctypes.CDLL) -> None:
    """Types of what is called. Those of variadic functions end where the variadic part begins."""
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    error = ctypes.POINTER(ctypes.c_int)
    for name, result, arguments in (
        ("opus_encoder_create", pointer, (integer, integer, integer, error)),
        ("opus_encoder_destroy", None, (pointer,)),
        ("opus_encoder_ctl", integer, (pointer, integer)),
        ("opus_encode_float", integer, (pointer, pointer, integer, text, integer)),
        ("opus_decoder_create", pointer, (integer, integer, error)),
        ("opus_decoder_destroy", None, (pointer,)),
        ("opus_decoder_ctl", integer, (pointer, integer)),
        ("opus_decode_float", integer, (pointer, text, integer, pointer, integer, integer)),
        ("opus_packet_get_nb_samples", integer, (text, integer, integer)),
    ):
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments


def _free_with(owner: object, destroy: Any, state: ctypes.c_void_p) -> None:
    # Not at exit: a sound card's thread may still be in the middle of a frame then.
    weakref.finalize(owner, destroy, state).atexit = False


def _check(result: int) -> int:
    """A result of libopus that cannot be the network's fault."""
    if result < 0:
        raise UsageError(f"libopus refuses what it was asked for (error {result})")
    return result
