"""``wss://``: a server with a certificate of its own; who does not trust it is told so."""

import ssl
from pathlib import Path

import pytest

from signaling import SignalingClient, SignalingServer, Unreachable, UsageError
from tests.integration.certificates import make_certificate, server_context


async def test_only_who_trusts_the_certificate_joins(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    server = SignalingServer()
    await server.start("127.0.0.1", 0, ssl=server_context(certificate))
    try:
        url = f"wss://127.0.0.1:{server.port}"
        trusting = ssl.create_default_context(cafile=certificate)
        async with await SignalingClient.connect(url, room="den", name="Ada", ssl=trusting) as ada:
            assert ada.peers == {}
        with pytest.raises(Unreachable, match="TLS with wss://"):
            await SignalingClient.connect(url, room="den", name="Bob")
        with pytest.raises(UsageError, match="wss:// urls only"):
            await SignalingClient.connect(
                url.replace("wss", "ws"), room="den", name="Cyd", ssl=trusting
            )
    finally:
        await server.stop()
