"""Room of state synchronisation: who is told what, and what has been understood.

Pure. The sender turns history and acknowledgements into packets; the receiver is its mirror and
turns packets into history.
"""
