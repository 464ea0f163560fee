"""Vectors for texts, without a model: each word turns a few dimensions; the sum has length one.

Texts that share words get vectors that are near each other, so that search and ranking look alive.
"""

import math
import zlib

_TURNS = 4


def vector(text: str, dimensions: int) -> list[float]:
    """The vector of `text`, of length one, the same on every machine."""
    made = [0.0] * dimensions
    for word in text.lower().split():
        seed = zlib.crc32(word.encode("utf-8", "replace"))
        for _ in range(_TURNS):
            seed = (seed * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF
            made[(seed >> 1) % dimensions] += 1.0 if seed & 1 << 31 else -1.0
    length = math.sqrt(math.fsum(value * value for value in made))
    if not length:
        made[0] = length = 1.0
    return [value / length for value in made]


def likeness(one: list[float], other: list[float]) -> float:
    """The cosine of two unit vectors, in -1..1."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))
