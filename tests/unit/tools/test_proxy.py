"""Which proxy a doctor says a game would use: the one that it would, and never its password."""

import ssl
from typing import Any

import pytest

from netcode.tools.look_at_door import Door


async def nobody(**options: Any) -> Any:
    """A door that is not entered."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ws", "wss", "http", "https", "socks", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


def proxy_for(url: str) -> str:
    tls = ssl.create_default_context() if url.startswith("wss") else None
    return Door(url, "game", nobody, tls).proxy()


def test_the_proxy_of_the_system_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ada:secret@proxy.example:3128")
    assert proxy_for("wss://game.example") == "proxy.example:3128"
    assert proxy_for("ws://game.example:8080") == "proxy.example:3128"


@pytest.mark.parametrize("url", ["ws://localhost:8080", "ws://127.0.0.1:8080", "ws://[::1]:8080"])
def test_this_machine_is_reached_without(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert proxy_for(url) == ""


def test_hosts_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "game.example")
    assert proxy_for("wss://game.example") == ""
