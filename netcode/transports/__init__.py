"""Room of the wires: whatever carries the bytes of one link from one machine to another.

Enter here what knows sockets, WebRTC, or the bad weather between two machines. Nothing in
here knows what a channel, an entity or a player is. `base.py` says what every transport is.
"""
