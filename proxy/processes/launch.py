"""How a child's program begins: `python -m proxy.processes.launch MODULE ...` runs MODULE's main.

Importing makes some hundred thousand objects that all stay, and the collector would walk through
them a hundred times: a sixth of the processor time of a start. So it hardly looks until the program
has started; then the program says how often it is to.
"""

import gc
import sys
from importlib import import_module

_OBJECTS = 400_000
"""More than a start leaves behind; where the program never says how often, still no leak."""


def main() -> None:
    """The entry point of the process; only the supervisor calls it."""
    gc.set_threshold(_OBJECTS, 10, 10)
    module = sys.argv.pop(1)
    import_module(module).main()


if __name__ == "__main__":
    main()
