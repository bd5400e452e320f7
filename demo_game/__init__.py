"""A space arena for many players: what netcode looks like in a whole game.

``python -m demo_game`` starts a server, some bots and a window. Where to begin reading:
`game` (what both ends share), `simulation` (the server's rules), `host` (the server) and
`player` (the window). Only the modules around the window import pygame.
"""
