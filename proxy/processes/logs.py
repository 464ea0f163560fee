"""Logging of every process: one line per event on stderr, as JSON or as text.

Each line names the process and its pid. Everything goes through the redactor after formatting, so
arguments, tracebacks and lines of foreign libraries are covered too, and so is what Python itself
would print of an error that nobody caught, in any thread. Set up once per process, and again when a
new configuration changes the level, the format or the secrets.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType

from proxy.base import jsonio
from proxy.base.redact import Redactor

OURS = "llm-proxy"
"""Every logger of ours is below this name."""

log = logging.getLogger("llm-proxy.process")


def set_up(
    process: str, *, level: str = "info", style: str = "text", secrets: Iterable[str] = ()
) -> None:
    """Send the log of this process to stderr. `style` is json or text. `secrets`: what it knows and
    must not show."""
    handler = _Lines(sys.stderr)
    formatter = _JsonLines if style == "json" else _TextLines
    handler.setFormatter(formatter(process, Redactor(secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell at "info" what only they find interesting.
    root.setLevel(max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING))
    logging.getLogger(OURS).setLevel(level.upper())
    logging.captureWarnings(True)
    sys.excepthook = _last_words
    threading.excepthook = _thread_ended
    sys.unraisablehook = _unraisable


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler whose own failures do not print arguments: they may hold what must not be shown."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[0]
        name = error.__name__ if error else "error"
        sys.stderr.write(
            f"a log line of {record.name} ({record.pathname}:{record.lineno}) is lost: {name}\n"
        )


class _Clean(logging.Formatter):
    """What both forms share."""

    def __init__(self, process: str, redactor: Redactor) -> None:
        super().__init__()
        self._process = process
        self._redactor = redactor

    def clean(self, text: str) -> str:
        # Bytes that were not UTF-8 arrive as lone surrogates, which no encoder takes.
        return self._redactor(text.encode("utf-8", "backslashreplace").decode())


class _JsonLines(_Clean):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": self.clean(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = self.clean(self.formatException(record.exc_info))
        return jsonio.dumps(line).decode()


class _TextLines(_Clean):
    def format(self, record: logging.LogRecord) -> str:
        # A message with a line break in it could pretend to be another line of the log.
        message = self.clean(record.getMessage()).replace("\r", "\\r").replace("\n", "\\n")
        head = f"{_utc(record.created)} {record.levelname:<7} {self._process}[{record.process}]"
        line = f"{head} {record.name}: {message}"
        if record.exc_info:
            trace = self.clean(self.formatException(record.exc_info))
            line += "\n    " + trace.replace("\n", "\n    ")
        return line


def _utc(created: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created))
    return f"{whole}.{int(created % 1 * 1000):03d}Z"


def _last_words(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log what ends the process, instead of printing it past the redactor."""
    log.critical("this process ends with an error", exc_info=(kind, error, trace))


def _thread_ended(said: threading.ExceptHookArgs) -> None:
    if said.exc_value is None or issubclass(said.exc_type, SystemExit):
        return
    name = said.thread.name if said.thread is not None else "?"
    told = (said.exc_type, said.exc_value, said.exc_traceback)
    log.critical("the thread %s ends with an error", name, exc_info=told)


def _unraisable(said: "sys.UnraisableHookArgs") -> None:
    """An error where none can be raised, as in a destructor. The object may print what it holds."""
    if said.exc_value is not None:
        told = (said.exc_type, said.exc_value, said.exc_traceback)
        log.error("an error that could not be raised", exc_info=told)
