"""Which encoding a model uses, and the encodings themselves: loaded when first needed, once each.

OpenAI's older families use cl100k, all since gpt-4o o200k. Other vendors keep their own encodings;
o200k stands in for them, which is off by some per cent for most and is documented.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.usage.tokens.ranks import NoRanks, read_ranks

if TYPE_CHECKING:
    from tiktoken import Encoding

CL100K: Final = "cl100k_base"
O200K: Final = "o200k_base"

_OLDER = re.compile(
    r"(?:gpt-4(?![.o\d])|gpt-3\.?5|text-embedding-(?:ada|3)|(?:davinci|babbage)-002)"
)

_OPENAI = re.compile(
    r"(?:chatgpt-|gpt-(?!oss)|o[134](?:-|$)|text-embedding-|davinci-002|babbage-002|codex-)"
)

# How text is split before merging. Part of an encoding's definition, as published with its ranks.
_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_PATTERNS: Final = {
    CL100K: (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    O200K: "|".join(
        (
            rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_ENDINGS}",
            rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_ENDINGS}",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    ),
}


def plain_name(model: str) -> str:
    """A model's name without a vendor in front and without fine-tuning: `ft:gpt-4o:org` is a
    gpt-4o."""
    return model.rpartition("/")[2].lower().removeprefix("ft:")


def encoding_name(model: str) -> str:
    """The encoding of a vendor's model."""
    return CL100K if _OLDER.match(plain_name(model)) else O200K


def is_openai(model: str) -> bool:
    """Whether a vendor's model is of a family whose encoding is published."""
    return _OPENAI.match(plain_name(model)) is not None


class Encodings:
    """All encodings of a worker. For one thread: `get` reads files and takes its time."""

    __slots__ = ("_cache", "_loaded")

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._loaded: dict[str, Encoding | NoRanks] = {}

    def has(self, name: str) -> bool:
        """Whether `get` is quick."""
        return name in self._loaded

    def get(self, name: str) -> "Encoding":
        """The encoding. Raises NoRanks, and again without another look at the disk."""
        found = self._loaded.get(name)
        if found is None:
            found = self._loaded[name] = self._load(name)
        if isinstance(found, NoRanks):
            raise found
        return found

    def _load(self, name: str) -> "Encoding | NoRanks":
        from tiktoken import Encoding  # noqa: PLC0415 - Large, and many workers count nothing.

        try:
            ranks = read_ranks(name, self._cache)
        except NoRanks as error:
            return error
        # No special tokens: in what callers and models say they are ordinary text.
        return Encoding(name, pat_str=_PATTERNS[name], mergeable_ranks=ranks, special_tokens={})
