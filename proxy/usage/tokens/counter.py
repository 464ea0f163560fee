"""The port `TokenCounter`: what is counted, and a thread that counts it.

A worker has one thread and a queue with an end. Whatever would make anybody wait longer than the
deadline (a full queue, a text that is too long, an encoding that is still being loaded) leaves the
estimate in its place. The text of streams is kept only for targets that are known to be silent
about usage: a worker finds that out once for each, from an answer without it.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from proxy.core.exchange import Exchange
from proxy.usage.tokens.counting import Job, count_tokens
from proxy.usage.tokens.encodings import Encodings, encoding_name
from proxy.usage.tokens.inputs import COUNTABLE
from proxy.usage.tokens.most_input import Question, most_input
from proxy.usage.tokens.ranks import NoRanks
from proxy.usage.tokens.transcript import BoundedTranscript
from proxy.usage.usual_usage import usual_usage
from proxy.wire.body import Body
from proxy.wire.tail import Tail
from proxy.wire.usage import read_usage

log = logging.getLogger("llm-proxy.tokens")

DEADLINE: Final = 1.0
"""Seconds that an answer may wait for its count."""
PATIENCE: Final = 5.0
"""Seconds that a request may wait for its count while an encoding is still to be loaded: that
happens once, and the request would be refused otherwise."""
QUEUE: Final = 64
"""Answers that may wait at a time."""
MOST_TARGETS: Final = 1024

_COUNT_NAME = b'_tokens"'
_COUNT = re.compile(  # Not `max_output_tokens`, which answers repeat.
    rb'"(?:total|prompt|completion|input|output|cached|reasoning|audio|rejected_prediction)'
    rb'_tokens"\s*:\s*\d'
)
_LONGEST_NAME = 24

T = TypeVar("T")
_Target = tuple[str, str]


class ThreadCounter:
    """Counts in one thread, which begins with the first answer that needs it."""

    __slots__ = ("_closed", "_deadline", "_encodings", "_failed", "_pool", "_silent", "_waiting")

    def __init__(self, encodings: Encodings, deadline: float = DEADLINE) -> None:
        self._encodings = encodings
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tokens")
        self._silent: dict[_Target, None] = {}  # Targets that gave no usage, oldest first.
        self._waiting = 0
        self._closed = False
        self._failed = False

    def listen(self, x: Exchange, /) -> BoundedTranscript | None:
        """A transcript for a stream of a target that is known to be silent about usage."""
        if not self._silent or x.operation.name not in COUNTABLE or _target(x) not in self._silent:
            return None
        return BoundedTranscript()

    def wants(self, x: Exchange, /) -> bool:
        """Whether a good answer came without usage; its target is remembered."""
        if x.operation.name not in COUNTABLE:
            return False
        tail = x.tail
        last = tail.last()
        usual = usual_usage(last)
        tail.seen = tail.total, usual
        if usual is not None or _has_usage(tail, last):
            if self._silent and x.stream:
                self._silent.pop(_target(x), None)
            return False
        reply = x.reply
        if reply is None or not 200 <= reply.status < 300 or not x.attempts:
            return False
        self._remember(_target(x))
        return x.counted is None

    async def count(self, x: Exchange, body: bytes, /) -> None:
        """Set `x.counted`, if it can be done within the deadline."""
        if self._closed or self._failed or self._waiting >= QUEUE or not isinstance(x.body, Body):
            return
        streamed = x.reply is not None and x.reply.head.is_events
        job = Job(x.operation.name, x.attempts[-1].model, x.body.raw, body, streamed)
        if job.too_large:
            return
        x.counted = await self._in_time(
            x.id, lambda: count_tokens(job, self._encodings), self._deadline
        )

    async def count_input(self, x: Exchange, models: Sequence[str], /) -> int | None:
        """The most tokens of input that it can have, if that can be counted within the deadline."""
        if self._closed or self._failed or self._waiting >= QUEUE or not isinstance(x.body, Body):
            return None
        if x.operation.name not in COUNTABLE or not models:
            return None
        question = Question(tuple(models), x.body.raw)
        if question.too_large:
            return None
        loaded = all(self._encodings.has(encoding_name(model)) for model in models)
        deadline = self._deadline if loaded else max(PATIENCE, self._deadline)
        return await self._in_time(x.id, lambda: most_input(question, self._encodings), deadline)

    def close(self) -> None:
        """Drop what waits; what is being counted ends by itself."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_time(
        self, request: str, work: Callable[[], T | None], deadline: float
    ) -> T | None:
        """What comes of it, or None where it took too long or could not be done."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline):
                return await loop.run_in_executor(self._pool, _without_panic, work)
        except TimeoutError:
            log.info("%s: counting its tokens took too long; they are estimated", request)
        except NoRanks as error:
            self._failed = True
            log.warning("tokens are estimated, not counted: %s", error)
        except Exception:
            # What a vendor or a caller wrote may be stranger than we thought: never an error.
            log.exception("%s: its tokens could not be counted", request)
        finally:
            self._waiting -= 1
        return None

    def _remember(self, target: _Target) -> None:
        silent = self._silent
        if target in silent:
            return
        log.info("%s/%s names no usage: its tokens are counted here", *target)
        if len(silent) >= MOST_TARGETS:
            del silent[next(iter(silent))]
        silent[target] = None


def _without_panic(work: Callable[[], T | None]) -> T | None:
    """What the thread does. Raises no BaseException of tiktoken's: a panic in Rust is one."""
    try:
        return work()
    except Exception:
        raise
    except BaseException as panic:
        raise RuntimeError(f"tiktoken broke off: {panic}") from panic


def _has_usage(tail: Tail, last: bytes) -> bool:
    """Whether the vendor named what was used, in whatever form."""
    at = last.rfind(_COUNT_NAME)
    if at >= 0 and _COUNT.search(last, max(0, at - _LONGEST_NAME)) is not None:
        return True  # In a text its quotes would be escaped.
    text = tail.usage()
    return text is not None and read_usage(text) is not None


def _target(x: Exchange) -> _Target:
    last = x.attempts[-1]
    return last.provider, last.model
