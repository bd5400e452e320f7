"""A household of the laboratory: one machine behind a router, whose manners can be chosen.

The router is a Linux one, and its NAT is the kernel's. What it does to whom follows from a few
attributes of `Site`, written down as rules of nftables each time that one of them changes.
"""

import contextlib
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from tests.integration.netlab.namespaces import Namespace, namespace


class Nat(Enum):
    """How a router translates, from open to closed."""

    NONE = "no NAT"
    """The machine has a public address, and no firewall."""
    FULL_CONE = "full cone"
    """One external port for each port of the machine, and whoever knows it may send there."""
    PORT_RESTRICTED = "cone"
    """One external port likewise, but in comes only what answers something that went out."""
    SYMMETRIC = "symmetric"
    """Another external port for each destination; in comes only what answers."""


class Udp(Enum):
    """What a router does to UDP."""

    OPEN = "open"
    RELAY_ONLY = "relay only"
    """It reaches port 3478 of anybody, and nothing else."""
    BLOCKED = "UDP blocked"
    """None goes through, either way."""


@dataclass(frozen=True)
class Line:
    """What lies between a router and the backbone, the same in both directions."""

    delay: float = 0.0
    """Seconds, one way."""
    jitter: float = 0.0
    """Standard deviation of the delay in seconds; what is behind waits, nothing overtakes."""
    loss: float = 0.0
    """Share of frames that are lost, 0 to 1."""


class Site:
    """One household; made by `Internet.site`, built when entered."""

    client: Namespace
    """The machine behind the router: what runs on it runs at this site."""

    def __init__(
        self,
        backbone: Namespace,
        number: int,
        nat: Nat,
        udp: Udp,
        line: Line | None,
        *,
        gateway: str,
    ) -> None:
        self.nat = nat
        self._backbone, self._number, self._line, self._gateway = backbone, number, line, gateway
        self._udp = udp
        self._loss = 0.0
        self._externals = 1
        self._clients = 2
        self._built = contextlib.ExitStack()

    # -- what may be asked and changed at any time -------------------------------------------

    @property
    def external_address(self) -> str:
        """The router's address on the internet."""
        return f"5.5.{self._number}.{self._externals}"

    @property
    def client_address(self) -> str:
        """The address that the machine itself knows: a private one behind a NAT."""
        return f"{self._subnet}.{self._clients}"

    @property
    def udp(self) -> Udp:
        """What happens to UDP; may be set."""
        return self._udp

    @udp.setter
    def udp(self, manners: Udp) -> None:
        self._udp = manners
        self._set_rules()

    @property
    def loss(self) -> float:
        """Share of UDP packets that the router drops, each way; may be set."""
        return self._loss

    @loss.setter
    def loss(self, share: float) -> None:
        self._loss = share
        self._set_rules()

    def rebind(self) -> None:
        """The router forgets its mappings and gets another address, as after a new dial-in.

        With the same address the kernel would give out the same ports again, and nobody would
        notice anything.
        """
        if self.nat is Nat.NONE:
            raise ValueError("a router without NAT has no mappings to forget")
        before = self.external_address
        self._externals += 1
        self.router.ip(
            f"address del {before}/16 dev wan",
            f"address add {self.external_address}/16 dev wan",
            f"route add default via {self._gateway}",
        )
        self._set_rules()
        self.router.do("conntrack", "-F")

    def change_address(self) -> None:
        """The machine's own address goes away and it gets another one, as in another network."""
        before = self.client_address
        self._clients += 1
        self.client.ip(
            f"address del {before}/24 dev eth0",
            f"address add {self.client_address}/24 dev eth0",
            f"route add default via {self._subnet}.1",
        )
        self._set_rules()

    # -- building ----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as built:
            self.router = built.enter_context(namespace())
            self.client = built.enter_context(namespace())
            self.router.set(net__ipv4__ip_forward=1)
            self._attach_to_backbone(built)
            self.router.ip(
                f"address add {self.external_address}/16 dev wan",
                "link set wan up",
                f"route add default via {self._gateway}",
            )
            self.client.ip(
                f"link add eth0 type veth peer name lan netns {self.router.name}",
                f"address add {self.client_address}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {self._subnet}.1",
            )
            self.router.ip(f"address add {self._subnet}.1/24 dev lan", "link set lan up")
            if self.nat is Nat.NONE:
                route = f"{self._subnet}.0/24 via {self.external_address}"
                self._backbone.ip(f"route add {route}")
                built.callback(self._backbone.ip, f"route del {route}")
            self._set_rules()
            self._built = built.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._built.close()

    @property
    def _subnet(self) -> str:
        return f"{'5.6' if self.nat is Nat.NONE else '10.0'}.{self._number}"

    def _attach_to_backbone(self, built: contextlib.ExitStack) -> None:
        """Lay the line: a pair of interfaces, or a program that holds packets back."""
        port = f"site{self._number}"
        if self._line is None:
            self._backbone.ip(f"link add {port} type veth peer name wan netns {self.router.name}")
        else:
            far = f"line{self._number}"
            program = self._backbone.run(
                "netlab_line.py", port, far,
                *map(str, (self._line.delay, self._line.jitter, self._line.loss, self._number)),
            )  # fmt: skip
            built.callback(program.end)
            program.told("ready")
            # The program's descriptors stay valid wherever the interfaces go.
            self._backbone.ip(f"link set {far} netns {self.router.name}")
            self.router.ip(f"link set {far} name wan")
        self._backbone.ip(f"link set {port} master br0", f"link set {port} up")

    def _set_rules(self) -> None:
        before, after, forward = [], [], []
        if self.nat is Nat.FULL_CONE:
            mine = f'iifname "wan" ip daddr {self.external_address} meta l4proto udp'
            before.append(f"{mine} dnat to {self.client_address}")
        if self.nat is not Nat.NONE:
            random = " fully-random" if self.nat is Nat.SYMMETRIC else ""
            after.append(f'oifname "wan" masquerade{random}')
        if self._udp is Udp.BLOCKED:
            forward.append("meta l4proto udp drop")
        elif self._udp is Udp.RELAY_ONLY:
            forward.append('oifname "wan" udp dport != 3478 drop')
        if self._loss:
            chance = f"numgen random mod 1000 < {round(self._loss * 1000)}"
            forward.append(f"meta l4proto udp {chance} drop")
        # Without this one, what strangers send to the router would take up the port that a cone
        # has to give to its own machine.
        into = ['iifname "wan" drop']
        self.router.nft(
            "table ip lab\n"
            "delete table ip lab\n"
            "table ip lab {\n"
            f"{_chain('before', 'nat hook prerouting priority dstnat', before)}"
            f"{_chain('after', 'nat hook postrouting priority srcnat', after)}"
            f"{_chain('into', 'filter hook input priority filter', into)}"
            f"{_chain('through', 'filter hook forward priority filter', forward)}"
            "}\n"
        )


def _chain(name: str, hook: str, rules: list[str]) -> str:
    return f"chain {name} {{\n type {hook};\n" + "".join(f" {rule}\n" for rule in rules) + "}\n"
