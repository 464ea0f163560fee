"""An alarm that rings to the microsecond, for the sender of an open loop.

Timers of the event loop are rounded to milliseconds, which would be charged to the server as
latency. Linux's timerfd is exact and is just one more file that the loop waits for. Python has it
since 3.13 only, so it is called by way of ctypes. `proxy.base.clock.monotonic` is its clock.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_MONOTONIC = time.CLOCK_MONOTONIC
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_NANO = 1_000_000_000


class _Spec(ctypes.Structure):
    """struct itimerspec: no interval, then the time at which it rings."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls `ring` in the loop when the time has come; one time at once."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._file = self._libc.timerfd_create(_MONOTONIC, _FLAGS)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop.add_reader(self._file, self._rang)

    def at(self, when: float) -> None:
        """Ring then, or at once if that is over; in place of any time given before."""
        nanos = max(int(when * _NANO), 1)
        spec = _Spec(0, 0, nanos // _NANO, nanos % _NANO)
        if self._libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Never ring again."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _rang(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:  # It was set anew after it had rung.
            return
        self._ring()
