"""`llm-proxy bench`: hands over to the bench harness, which is no part of the program.

The harness imports the program, never the other way round, so this process becomes it instead of
calling it. In a source tree it lies beside `proxy/`; a wheel carries it inside, where no import
finds it by accident.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PROXY = Path(__file__).parent.parent
_PLACES = (_PROXY.parent / "bench", _PROXY / "_bench" / "bench")


def bench(arguments: Sequence[str]) -> int:
    """Become the harness. Returns only where there is none: exit code 2."""
    for place in _PLACES:
        if (place / "harness" / "command.py").is_file():
            sys.stdout.flush()
            sys.stderr.flush()
            os.execv(sys.executable, [sys.executable, str(place), *arguments])
    sys.stderr.write("llm-proxy: this installation was made without the bench harness\n")
    return 2
