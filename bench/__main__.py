"""`python -m bench` or `python FOLDER/bench`: what `llm-proxy bench` runs, wherever it lies."""

import sys
from pathlib import Path

if not __package__:  # Run by its path: then modules are found beside this folder, not in it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.harness.command import main

sys.exit(main(sys.argv[1:]))
