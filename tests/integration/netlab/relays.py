"""Relays in the laboratory: ours and coturn, on one address each, with the same secret."""

import sys
from pathlib import Path

from tests.integration.netlab.internet import RELAY_PORT
from tests.integration.netlab.namespaces import Namespace
from tests.integration.netlab.programs import Program
from tests.integration.turn_lab import SECRET, coturn_configuration


def our_relay(machine: Namespace, address: str, *, allow: str | None = None) -> Program:
    """Start ``python -m signaling turn``; ``allow`` is an address of its own machine that players
    may reach through it."""
    program = machine.start(
        sys.executable, "-u", "-m", "signaling", "turn",
        "--host", address, "--port", str(RELAY_PORT), "--secret", SECRET,
        *(("--allow-peer", allow) if allow is not None else ()),
    )  # fmt: skip
    program.wait_for("turn on")
    return program


def coturn(machine: Namespace, address: str, folder: Path) -> Program:
    """Start a coturn that is configured as docs/deploy.md says."""
    file = folder / "turnserver.conf"
    file.write_text(coturn_configuration(RELAY_PORT, folder, SECRET, address))
    return machine.start("turnserver", "-c", str(file))
