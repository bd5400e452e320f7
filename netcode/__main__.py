"""``python -m netcode doctor``: can this machine play, and does it get through to a server?"""

import sys
from collections.abc import Sequence

from netcode.tools import doctor

USAGE = """usage: python -m netcode doctor [URL] [--json]

  doctor   can this machine play, and does it get through to the server at URL?
           python -m netcode doctor --help lists the rest
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit code: 2 for a tool that there is not."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    tool, *rest = given
    if tool != "doctor":
        print(f"netcode: there is no tool {tool!r}\n{USAGE}", end="", file=sys.stderr)
        return 2
    return doctor.main(rest)


if __name__ == "__main__":
    sys.exit(main())
