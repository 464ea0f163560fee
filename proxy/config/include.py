"""`include: [other.yaml]`: files merged below the one that names them.

Paths are relative to the including file. Among several, the later one wins; the includer wins over
all. A file may be included twice, but not by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxy.config.interpolate import fill
from proxy.config.problems import Place, Problem
from proxy.config.reader import read
from proxy.config.tree import Items, Node, Scalar, Section, merge_sections

MAX_FILES = 100


@dataclass(slots=True)
class Sources:
    """Reads a file and what it includes, and remembers which files it read."""

    env: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    files: dict[Path, None] = field(default_factory=dict)
    complete: bool = True  # Every file could be read to its end.
    _read: int = 0

    def load(self, path: Path) -> Section:
        """The merged tree. What cannot be read is noted and counts as empty."""
        return self._load(path, None, ())

    def _load(self, path: Path, named_by: Scalar | None, above: tuple[Path, ...]) -> Section:
        self.files[path] = None
        self._read += 1
        root = self._open(path, named_by)
        if root is None:
            self.complete = False
            return Section(Place(path))
        merged = Section(root.place)
        above = (*above, path.resolve())
        for item in self._named(root):
            other = path.parent / item.text
            if other.resolve() in above:
                self.problems.append(item.place.problem(f"{_shown(item)} includes itself"))
            elif self._read >= MAX_FILES:
                self.problems.append(item.place.problem(f"over {MAX_FILES} files are included"))
            else:
                merged = merge_sections(self._load(other, item, above), merged)
        return merge_sections(root.without("include"), merged)

    def _open(self, path: Path, named_by: Scalar | None) -> Section | None:
        """Read one file. That it cannot be opened is the fault of the line that names it."""
        try:
            return read(path, self.problems)
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
            place = named_by.place if named_by else Place(path)
            subject = f"{_shown(named_by)} " if named_by else ""
            self.problems.append(place.problem(f"{subject}cannot be read: {reason}"))
            return None

    def _named(self, root: Section) -> list[Scalar]:
        entry = root.entries.get("include")
        if entry is None:
            return []
        node = fill(entry.node, self.env, self.problems)
        nodes: tuple[Node, ...] = node.nodes if isinstance(node, Items) else (node,)
        named = []
        for child in nodes:
            if isinstance(child, Scalar) and isinstance(child.value, str) and child.text:
                named.append(child)
            elif not (isinstance(child, Scalar) and child.absent):
                self.problems.append(child.place.problem("`include` must be a list of file names"))
        return named


def _shown(item: Scalar) -> str:
    """The name as it is written; a variable's content is not shown."""
    return "this included file" if item.variables else f"the included file `{item.text}`"
