"""A server and its bots on this machine, in processes of their own. Imports no pygame."""

import contextlib
import threading

from demo_game.processes import Child

START_SECONDS = 25.0
"""Starting Python and its libraries takes a second or two; a busy machine takes its time."""

NO_SERVER = "The server did not start. Its own words are in the terminal."


class LocalGame:
    """Starts a server, and bots that join it; `end` ends them all.

    ``port`` 0 takes any that is free; ``address`` 127.0.0.1 is for this machine only. With ``hum``
    the bots can be heard.
    """

    def __init__(
        self,
        *,
        bots: int,
        bot_processes: int = 1,
        port: int = 0,
        address: str = "127.0.0.1",
        hum: bool = False,
    ) -> None:
        self.host = Child("host", "--port", str(port), "--address", address)
        self.hum = hum
        self.bots: list[Child] = []
        self._shares = [
            bots // bot_processes + (process < bots % bot_processes)
            for process in range(min(bots, bot_processes))
        ]
        self._lock = threading.Lock()
        self._ended = False

    def url(self) -> str:
        """Where the server is. Waits until it is there; raises `OSError` if it does not come."""
        url = self.host.wait_for("url", START_SECONDS)
        if not isinstance(url, str):
            raise OSError(NO_SERVER)
        return url

    def url_if_known(self) -> str | None:
        """The same without waiting: None while the server starts."""
        url = self.host.latest("url")
        if url is None and not self.host.running:
            raise OSError(NO_SERVER)
        return str(url) if url else None

    def invite_bots(self, conditions: str | None = None) -> None:
        """Start the bots' processes as soon as the server is there, without waiting for it."""
        threading.Thread(target=self._invite, args=(conditions,), daemon=True).start()

    def _invite(self, conditions: str | None) -> None:
        with contextlib.suppress(OSError):  # whoever joins is told that there is no server
            url = self.url()
            options: tuple[str, ...] = ("--conditions", conditions) if conditions else ()
            if self.hum:
                options = (*options, "--hum")
            first = 0
            for share in self._shares:
                with self._lock:
                    if self._ended:
                        return
                    bots = Child("bots", url, "-n", str(share), "--first", str(first), *options)
                    self.bots.append(bots)
                # One after the other: starting Python and its handshakes takes a core each.
                bots.wait_for("joined", START_SECONDS)
                first += share

    def end(self) -> list[int]:
        """End bots and server, in this order. Returns their exit codes. Idempotent."""
        with self._lock:
            self._ended = True
            children = [*self.bots, self.host]
        for child in children:
            child.hang_up()
        return [child.end() for child in children]
