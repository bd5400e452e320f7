"""Talking to each other: from a microphone to RTP packets, and from packets to a pair of ears.

A voice is cut into frames of 20 ms, coded with Opus (`opus`), and each frame travels as one RTP
packet (`rtp`) on the transport's lane for media, where nothing is repeated and nothing waits.
While somebody is silent, nothing is sent. Servers pass packets on without decoding them.

At the ear, each speaker has a buffer that makes late, lost and reordered packets an even stream
again, with as little delay as the line allows (`jitter_buffer`); all of them are mixed to stereo
(`mixing`), each as loud and from where its speaker stands (`listener`).

What may enter: nothing of worlds, ticks or links. A speaker is a number here, and where it stands
is asked of the owner. Time comes in as a number; the listener's lock is the only thing that knows
of threads on this side of the room.
"""
