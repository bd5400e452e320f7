"""Real-time multiplayer for Python games, over WebRTC.

    import netcode as nc

Declare entities, inputs and messages, put them into a `Protocol` that both ends import, run a
`Server`, and `connect` to it. Or leave the server out with `join_mesh`.
"""

from netcode import testing
from netcode.binary import Bytes
from netcode.client import Client, connect
from netcode.core.client_side import ClientSide
from netcode.core.messaging import Reply
from netcode.core.player import Player
from netcode.core.server_side import ServerSide
from netcode.core.stats import NetworkStats, ServerStats
from netcode.declarations import Entity, Input, Message
from netcode.errors import (
    Disconnected,
    JoinError,
    NetcodeError,
    NoReply,
    ProtocolError,
    ProtocolMismatch,
    Refused,
    SendQueueFull,
    StaleEntityError,
    Unreachable,
    UsageError,
    VoiceError,
)
from netcode.fields import Angle, Bool, Enum, Float, Int, Ref, Text
from netcode.link.delivery import EXPIRING, RELIABLE, SEQUENCED, UNORDERED, UNRELIABLE, Delivery
from netcode.mesh import Mesh, MeshChannel, MeshPeer, join_mesh
from netcode.play.rewind import Past, PastTable
from netcode.play.step import Step
from netcode.protocol import Protocol
from netcode.relay import Relay
from netcode.server import Server
from netcode.sync.budget import Budget
from netcode.sync.explain import Explanation, StateStats
from netcode.sync.interest import Everything, Groups, Interest, OnlyOwner, Radius, Where
from netcode.sync.policy import Viewers
from netcode.sync.priority import Priority
from netcode.transports.link_model import Conditions
from netcode.vectors import Quat, Vec2, Vec3
from netcode.voice.chat import Voice, VoiceChat
from netcode.voice.policies import EveryoneVoice, ProximityVoice, TeamVoice, VoicePolicy
from netcode.world.table import Table
from netcode.world.world import World

__all__ = [  # grouped by room  # noqa: RUF022
    # the game's declarations
    "Entity",
    "Input",
    "Message",
    "Protocol",
    "Angle",
    "Bool",
    "Bytes",
    "Enum",
    "Float",
    "Int",
    "Quat",
    "Ref",
    "Text",
    "Vec2",
    "Vec3",
    # a game with a server
    "Server",
    "Relay",
    "ServerSide",
    "Player",
    "ServerStats",
    "Step",
    "Past",
    "PastTable",
    "connect",
    "Client",
    "ClientSide",
    "NetworkStats",
    "Reply",
    # a game without one
    "join_mesh",
    "Mesh",
    "MeshChannel",
    "MeshPeer",
    # the world
    "World",
    "Table",
    # who is told what
    "Interest",
    "Everything",
    "Radius",
    "Groups",
    "OnlyOwner",
    "Where",
    "Viewers",
    "Priority",
    "Budget",
    "Explanation",
    "StateStats",
    # voice
    "Voice",
    "VoiceChat",
    "VoicePolicy",
    "ProximityVoice",
    "TeamVoice",
    "EveryoneVoice",
    # links
    "Delivery",
    "RELIABLE",
    "UNORDERED",
    "UNRELIABLE",
    "SEQUENCED",
    "EXPIRING",
    "Conditions",
    # errors
    "NetcodeError",
    "UsageError",
    "ProtocolError",
    "StaleEntityError",
    "JoinError",
    "Unreachable",
    "Refused",
    "ProtocolMismatch",
    "Disconnected",
    "NoReply",
    "VoiceError",
    "SendQueueFull",
    # testing games
    "testing",
]
