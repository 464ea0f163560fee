"""Pictures in a request as tokens, by the formulas that the vendors publish.

OpenAI has two: tiles of 512 pixels with a base, by `detail`, and patches of 32 pixels times a
factor. Anthropic divides the area, Google has tiles of 768. A picture whose size is not at hand (a
remote URL, a file id, a format we do not read) is taken for one of 1024 by 1024.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, sqrt

from proxy.usage.tokens.encodings import plain_name
from proxy.usage.tokens.image_size import Size, size_of_data_url

ASSUMED: Size = (1024, 1024)

_TILE = 512
_LONGEST = 2048
_SHORT_SIDE = 768
_PATCH = 32
_MOST_PATCHES = 1536
_CLAUDE_LONGEST = 1568
_CLAUDE_PIXELS = 750
_CLAUDE_MOST = 1600
_GEMINI_TILE = 768
_GEMINI_SMALL = 384
_GEMINI_TOKENS = 258


@dataclass(frozen=True, slots=True)
class Tiles:
    """A base, and more for each tile unless `detail` is low."""

    base: int
    tile: int

    def __call__(self, size: Size, detail: str) -> int:
        if detail == "low":
            return self.base
        width, height = _within(size, _LONGEST)
        scale = min(1.0, _SHORT_SIDE / min(width, height))
        across, down = ceil(width * scale / _TILE), ceil(height * scale / _TILE)
        return self.base + self.tile * across * down


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches times a factor; `detail` changes nothing."""

    factor: float

    def __call__(self, size: Size, _detail: str) -> int:
        width, height = float(size[0]), float(size[1])
        if _patches(width, height) > _MOST_PATCHES:
            scale = sqrt(_PATCH * _PATCH * _MOST_PATCHES / (width * height))
            # Shrunk a little more, so that whole patches fit one of the sides.
            across, down = width * scale / _PATCH, height * scale / _PATCH
            if across >= 1 and down >= 1:
                scale *= min(floor(across) / across, floor(down) / down)
            width, height = width * scale, height * scale
        return ceil(min(_patches(width, height), _MOST_PATCHES) * self.factor)


def _claude(size: Size, _detail: str) -> int:
    width, height = _within(size, _CLAUDE_LONGEST)
    return min(ceil(width * height / _CLAUDE_PIXELS), _CLAUDE_MOST)


def _gemini(size: Size, _detail: str) -> int:
    width, height = size
    if max(width, height) <= _GEMINI_SMALL:
        return _GEMINI_TOKENS
    return _GEMINI_TOKENS * ceil(width / _GEMINI_TILE) * ceil(height / _GEMINI_TILE)


# The first beginning of a model's name that fits.
_FORMULAS: tuple[tuple[str, Callable[[Size, str], int]], ...] = (
    ("gpt-4o-mini", Tiles(2833, 5667)),
    ("gpt-4.1-mini", Patches(1.62)),
    ("gpt-4.1-nano", Patches(2.46)),
    ("gpt-5-mini", Patches(1.62)),
    ("gpt-5-nano", Patches(2.46)),
    ("gpt-5", Tiles(70, 140)),
    ("o4-mini", Patches(1.72)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
    ("computer-use", Tiles(65, 129)),
    ("claude", _claude),
    ("gemini", _gemini),
)
_USUAL = Tiles(85, 170)

# The most that one picture can be, of whatever size, by the beginning of a model's name.
_MOST: tuple[tuple[str, int], ...] = (
    ("gpt-4o-mini", 2833 + 8 * 5667),
    ("gpt-", 4_096),
    ("chatgpt-", 4_096),
    ("o1", 4_096),
    ("o3", 4_096),
    ("o4", 4_096),
    ("computer-use", 4_096),
    ("claude", 5_120),
    ("gemini", 4_352),
)
_MOST_OF_OTHERS = 16_384


def image_tokens(model: str, url: object, detail: object = None) -> int:
    """Tokens of one picture. `detail` is low, high or auto, which is taken for high."""
    size = _size(url)
    name = plain_name(model)
    formula = next((each for start, each in _FORMULAS if name.startswith(start)), _USUAL)
    return formula(size or ASSUMED, "low" if detail == "low" else "high")


def is_sized(url: object) -> bool:
    """Whether the picture's size is at hand."""
    return _size(url) is not None


def most_picture(model: str) -> int:
    """The most tokens that one picture can be."""
    name = plain_name(model)
    return next((most for start, most in _MOST if name.startswith(start)), _MOST_OF_OTHERS)


def _size(url: object) -> Size | None:
    return size_of_data_url(url) if isinstance(url, str) and url[:5].lower() == "data:" else None


def _patches(width: float, height: float) -> int:
    return ceil(width / _PATCH) * ceil(height / _PATCH)


def _within(size: Size, longest: int) -> tuple[float, float]:
    width, height = size
    scale = min(1.0, longest / max(width, height))
    return width * scale, height * scale
