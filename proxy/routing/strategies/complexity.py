"""How hard a request seems to be, from 0 to 1, without reading it as a human would.

A guess from its size and from signs that are cheap to find. Each sign adds; nothing is learned, so
the same request always gets the same number and `explain` can say why:

    size of the prompt    0 up to 32 tokens, then 0.05 for each doubling, 0.4 at most
    mathematics 0.25 · code 0.2 · tools 0.15 · a JSON schema 0.05 · a long answer asked for 0.1
"""

from math import log2

_SHORT = 32
_PER_DOUBLING = 0.05
_MOST_FOR_SIZE = 0.4
_LONG_ANSWER = 2048


def complexity(
    tokens_in: int,
    tokens_out: int = 0,
    *,
    code: bool = False,
    maths: bool = False,
    tools: bool = False,
    schema: bool = False,
) -> float:
    """The sum of what speaks for a stronger model."""
    doublings = log2(tokens_in / _SHORT) if tokens_in > _SHORT else 0.0
    signs = 0.2 * code + 0.25 * maths + 0.15 * tools + 0.05 * schema
    size = min(_MOST_FOR_SIZE, _PER_DOUBLING * doublings)
    return min(1.0, size + signs + 0.1 * (tokens_out > _LONG_ANSWER))
