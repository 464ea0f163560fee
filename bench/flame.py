"""Collapsed stacks, as sampling profilers write them, made into tables and a flame graph: pure.

A line is `root;callee;…;leaf count`, a frame `function (file:line)` or `function (library)`. Only
the stacks of one thread are kept, told by a frame that all of its stacks have: threads that wait
for work look busy to a profiler. The graph hangs from its root; a box is as wide as the samples
that passed through its function, and one narrower than a pixel is left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

Stack = tuple[str, ...]
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
_WIDTH, _ROW, _TOP = 1400, 17, 30
_LETTER = 6.6  # Pixels, of the font below at its size.
_LEAST = 1.0
_STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1b1b1b}"
    "rect{stroke:#fff;stroke-width:.5}.head{font-size:13px}"
)


def read(text: str, of: str) -> Counter[Stack]:
    """The stacks with a frame in file `of`, from that frame on. Raises ValueError for no stack."""
    found: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        stack = tuple(frames.split(";"))
        begin = [at for at, frame in enumerate(stack) if f"({of}" in frame]
        if begin:
            found[stack[begin[-1] :]] += int(count)
    if not found:
        raise ValueError(f"no stack passes through {of}")
    return found


def short(frame: str) -> str:
    """The frame without its line."""
    match = _FRAME.match(frame)
    return frame if match is None else f"{match['name']} ({match['file']})"


def part(frame: str) -> str:
    """To which package, or library, the frame belongs."""
    match = _FRAME.match(frame)
    if match is None:
        return "?"
    place = match["file"].rpartition("site-packages/")[2].split("/")
    if place[0] == "proxy" and len(place) > 2:
        return "/".join(place[:2])
    if place[0] == "":  # An absolute path: of it the last folder.
        return place[-2]
    return place[0]


def self_time(stacks: Mapping[Stack, int]) -> Counter[str]:
    """Samples in each function itself."""
    return _add((short(stack[-1]), count) for stack, count in stacks.items())


def whole_time(stacks: Mapping[Stack, int]) -> Counter[str]:
    """Samples in each function and all that it called; recursion counts once."""
    return _add((each, n) for stack, n in stacks.items() for each in set(map(short, stack)))


def by_part(stacks: Mapping[Stack, int]) -> Counter[str]:
    """Samples in the functions of each package themselves."""
    return _add((part(stack[-1]), count) for stack, count in stacks.items())


def _add(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for name, count in pairs:
        sums[name] += count
    return sums


@dataclass(slots=True)
class _Box:
    """A function with what called it, and what it called."""

    count: int = 0
    below: dict[str, "_Box"] = field(default_factory=dict)


def svg(stacks: Mapping[Stack, int], title: str) -> str:
    """The graph: one file that needs no other and no script."""
    root = _Box()
    for stack, count in stacks.items():
        box = root
        box.count += count
        for frame in map(short, stack):
            box = box.below.setdefault(frame, _Box())
            box.count += count
    rows: list[str] = []
    depth = _draw(rows, root, 0.0, _WIDTH / root.count, root.count)
    height = _TOP + depth * _ROW + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n'
        f'<text class="head" x="6" y="19">{escape(title)}</text>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _draw(rows: list[str], root: _Box, left: float, scale: float, total: int) -> int:
    """Draw all that hangs from `root`; how many rows that took."""
    deepest = 0
    waiting = [(root, left, 0)]
    while waiting:
        box, x, depth = waiting.pop()
        for name, below in sorted(box.below.items()):
            width = below.count * scale
            if width >= _LEAST:
                rows.append(_rectangle(name, x, depth, width, below.count / total))
                waiting.append((below, x, depth + 1))
                deepest = max(deepest, depth + 1)
            x += width
    return deepest


def _rectangle(name: str, x: float, depth: int, width: float, share: float) -> str:
    top = _TOP + depth * _ROW
    room = int((width - 6) / _LETTER)
    words = name if len(name) <= room else name[: room - 1] + "…"
    text = f'<text x="{x + 3:.1f}" y="{top + 12}">{escape(words)}</text>' if room > 2 else ""
    return (
        f"<g><title>{escape(name)}: {share:.2%}</title>"
        f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_ROW}" fill="{_colour(name)}"/>'
        f"{text}</g>"
    )


def _colour(name: str) -> str:
    """The same for a whole package, in each graph."""
    return f"hsl({crc32(part(name).encode()) % 360} 65% 76%)"
