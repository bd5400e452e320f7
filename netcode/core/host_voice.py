"""Voice at the host: who is told the rules of it, and whose packets are passed on to whom."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from netcode.core.player import Player
from netcode.core.voice_words import VOICE, Listening, VoiceRules, decode_wish, encode
from netcode.errors import SendQueueFull
from netcode.link.delivery import RELIABLE
from netcode.link.session import Channel
from netcode.voice.forwarding import Forwarding, Member
from netcode.voice.policies import VoicePolicy

TELL_INTERVAL = 0.25
"""Seconds between two rounds of telling, however often somebody changes its mind."""


class HostVoice:
    """The voices of one host. ``players()`` gives those that are in the game."""

    def __init__(
        self,
        policy: VoicePolicy,
        clock: Callable[[], float],
        players: Callable[[], Iterable[Player]],
    ) -> None:
        self.forwarding = Forwarding(policy)
        self._clock = clock
        self._players = players
        self._recorders: set[int] = set()
        self._channels: dict[int, Channel] = {}
        self._told: dict[int, bool] = {}
        """What each player has been told of recording last."""
        self._tell_at = 0.0

    @property
    def recording(self) -> bool:
        """Whether somebody records. Everybody is told soon after that has changed."""
        return bool(self._recorders)

    def record(self, who: int, on: bool) -> None:
        """A player records what it hears, or has stopped; 0 is the server itself."""
        (self._recorders.add if on else self._recorders.discard)(who)

    def step(self, now: float) -> None:
        """Tell everybody of what has changed since the last time; call it often."""
        if now >= self._tell_at:
            self._tell_at = now + TELL_INTERVAL
            self.tell_all()

    def tell_all(self) -> None:
        """Tell those who have not been told yet whether somebody records."""
        for player in self._players():
            if self._told.get(player.id) != self.recording:
                self._tell(player)

    def add(self, player: Player) -> None:
        """A player has joined: it is told the rules, and may speak."""
        connection = player.connection
        self._channels[player.id], _ = connection.session.open(VOICE, RELIABLE)
        connection.on_media = lambda packet: self.forwarding.take(player.id, packet, self._clock())
        self.forwarding.add(
            Member(
                player.id,
                send=connection.send_media,
                place=player.place,
                groups=lambda: player.groups,
                may_speak=lambda: player.may_speak,
            )
        )
        self._tell(player)

    def remove(self, player: Player) -> None:
        """A player has gone."""
        self._channels.pop(player.id, None)
        self._told.pop(player.id, None)
        self.forwarding.remove(player.id)
        self.record(player.id, False)

    def carries(self, player: Player, channel: Channel) -> bool:
        """Whether a channel is the one on which this player speaks about voice."""
        return self._channels.get(player.id) is channel

    def take(self, player: Player, payload: bytes) -> None:
        """Take what a player says about voice. Raises `WireError`."""
        wish = decode_wish(payload)
        if isinstance(wish, Listening):
            self.forwarding.listen(player.id, wish.on)
        else:
            self.record(player.id, wish.on)

    def _tell(self, player: Player) -> None:
        policy = self.forwarding.policy
        rules = VoiceRules(policy.full, policy.silent, self.recording)
        with suppress(SendQueueFull):  # a player that reads nothing is told when it does
            player.connection.send(self._channels[player.id], encode(rules))
            self._told[player.id] = rules.recording
