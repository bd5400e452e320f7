"""Room of one connection: channels, their scheduling, liveness, and the session across links.

Pure: driven by a caller that passes the time and carries the bytes. Nothing in here knows which
transport does the carrying, or what a game is.
"""
