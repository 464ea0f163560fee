"""The only place that reads a clock."""

import time

monotonic = time.perf_counter  # noqa: TID251
"""Seconds from an arbitrary start; never steps back. For durations."""

wall = time.time  # noqa: TID251
"""Seconds since the epoch; may step. For time stamps only."""
