"""Room of the game's state: tables of entities, and the history of their quantised columns.

Pure: no clock, no socket, no thread. Nothing in here knows who is told what.
"""
