"""The mesh: everyone in a room connected to everyone, with channels and no server in between.

Here belongs what a mesh does that a game with a server does not: many peers instead of one, each of
whom may be the one who called, and a room that is never left. `circle` says who is a peer and knows
no event loop; `presence` keeps this end in the room; `mesh` joins the two and is what programs use.
"""

from netcode.mesh.channel import MeshChannel
from netcode.mesh.mesh import Mesh, join_mesh
from netcode.mesh.peer import MeshPeer

__all__ = ["Mesh", "MeshChannel", "MeshPeer", "join_mesh"]
