"""Room of the game's two ends: the host that runs a world, and the guest that takes part in it.

Both are driven from outside with the time and with transports, so that a whole game can be
stepped by a manual clock. The façades (`netcode.server`, `netcode.client`) give them an event
loop, WebRTC and signaling.
"""
