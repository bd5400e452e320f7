"""Room of the questions: how fast, how small, how late, and compared with what?

``python -m benchmarks`` lists the questions, ``python -m benchmarks NAME`` answers one. A question
is a file here with a docstring (its page), ``add_arguments(parser)`` and ``run(args)``, which
returns rows for `report.py`; every other file is a tool that several of them share.
"""
