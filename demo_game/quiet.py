"""A terminal without noise: what is wrong with voice is said on the screen."""

import ctypes
import logging
import sys

_HANDLER = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


def _say_nothing(
    file: bytes | None, line: int, function: bytes | None, error: int, text: bytes | None
) -> None:
    """In the place of ALSA's own handler."""


_silence = _HANDLER(_say_nothing)
"""Lives as long as the module, since ALSA keeps its address."""


def hush_voice() -> None:
    """Let neither netcode's voice nor ALSA write to the terminal.

    Where there is no sound card, ALSA tells dozens of lines each time that it is asked for one.
    """
    logging.getLogger("netcode.voice").setLevel(logging.ERROR)
    if sys.platform.startswith("linux"):
        try:
            alsa = ctypes.CDLL("libasound.so.2")
            alsa.snd_lib_error_set_handler(_silence)
        except (OSError, AttributeError):
            pass  # no ALSA, no noise
