"""Programs for people: ``python -m netcode doctor`` says who gets through, and why not.

What looks (``look_at_…``) does input and output, and hands what it saw to what judges
(``judge_…``), which is pure: from what was seen to a `Finding` with its likely cause and the way to
put it right. So every piece of advice can be tested without a broken network. Nothing here is
imported by the rest of netcode, and nothing prints but `doctor`.
"""
