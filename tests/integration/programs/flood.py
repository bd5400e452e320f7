"""Sends unauthenticated requests to a relay: flood.py PORT SECONDS PER_SECOND.

From as many addresses of the loopback network as the system lets it have.
"""

import random
import socket
import sys
import time

from aioice import stun

ADDRESSES = 6_000
"""More than a relay remembers."""

rng = random.Random(1)
port, seconds, rate = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
packets = []
for method in (stun.Method.BINDING, stun.Method.ALLOCATE, stun.Method.REFRESH):
    message = stun.Message(method, stun.Class.REQUEST, rng.randbytes(12))
    packets.append(bytes(message))
    message.attributes |= {"USERNAME": "9999999999:x", "REALM": "signaling", "NONCE": b"x" * 32}
    message.add_message_integrity(b"no key")
    packets.append(bytes(message))
packets.append(rng.randbytes(100))
packets.append(b"\x40\x00\x00\x04abcd")


def source() -> socket.socket:
    bound = socket.socket(type=socket.SOCK_DGRAM)
    number = rng.randrange(ADDRESSES)
    try:
        bound.bind((f"127.1.{number >> 8}.{number & 255}", 0))
    except OSError:  # systems that have 127.0.0.1 alone
        bound.bind(("127.0.0.1", 0))
    return bound


print("flooding", flush=True)
sent, began = 0, time.monotonic()
while (elapsed := time.monotonic() - began) < seconds:
    if sent > elapsed * rate:
        time.sleep(0.001)
        continue
    with source() as bound:
        for _ in range(4):
            bound.sendto(rng.choice(packets), ("127.0.0.1", port))
            sent += 1
print(f"sent {sent}", flush=True)
