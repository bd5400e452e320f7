"""The way into a room of a signaling server, and its errors in netcode's own words."""

import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from os import PathLike

import signaling
from netcode.errors import Refused, Unreachable, UsageError
from signaling import messages as m
from signaling.tls import client_context

Enter = Callable[..., Awaitable[signaling.SignalingClient]]
"""``await enter(name=…, timeout=…)`` enters a room, made by `door`; ``token=…`` is another than the
door's own. Raises `Unreachable` or `Refused` with what to do about it, or `UsageError`."""


def door(url: str, *, room: str, token: str | None, ca_file: str | PathLike[str] | None) -> Enter:
    """The way into a room of a signaling server.

    Raises `UsageError` for a room or a token that could not be one, and for a file of certificates
    that cannot be used.
    """
    own_token = token
    with as_ours():
        m.encode(m.Join(room, "", token=token))
    tls = trust(ca_file)
    if tls is not None and not url.startswith("wss://"):
        raise UsageError(f"ca_file is for wss:// only, not for {url}: leave it out, or use wss://")

    async def enter(
        *, name: str, timeout: float, token: str | None = own_token
    ) -> signaling.SignalingClient:
        try:
            return await signaling.SignalingClient.connect(
                url, room=room, name=name, token=token, timeout=timeout, ssl=tls
            )
        except signaling.Refused as error:
            raise Refused(f"{url} does not take this player: {error}", error.code) from None
        except signaling.UsageError as error:
            raise UsageError(str(error)) from None
        except signaling.SignalingError as error:
            raise Unreachable(str(error)) from None

    return enter


def trust(ca_file: str | PathLike[str] | None) -> ssl.SSLContext | None:
    """Whom to trust besides the system: a file's certificates, or nobody for None.

    Raises `UsageError` for a file that cannot be used.
    """
    with as_ours():
        return None if ca_file is None else client_context(ca_file)


@contextmanager
def as_ours() -> Iterator[None]:
    """Turn misuse that signaling notices into netcode's own `UsageError`."""
    try:
        yield
    except signaling.UsageError as error:
        raise UsageError(str(error)) from None
