"""The only place that reads a clock."""

import time
from typing import Final

monotonic: Final = time.perf_counter  # noqa: TID251
"""Seconds from an arbitrary start; never steps back. For durations."""

wall: Final = time.time  # noqa: TID251
"""Seconds since the epoch; may step. For time stamps only."""
