"""Room of feel: clocks, prediction of one's own entities, interpolation of the others'.

Pure. Whatever is shown on a screen comes through here; nothing in here reads a clock or a socket.
"""
