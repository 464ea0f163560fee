"""The target of a request: from what stands in the request line to a raw path and a raw query."""

import re
from typing import Final

_ABSOLUTE: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://"
    r"(?:[^/?#@\[\]]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]]+)(?::([0-9]{0,5}))?"
    r"(/[^?#]*)?(?:\?([^#]*))?(?:#.*)?"
)


def split(target: str) -> tuple[str, str]:
    """Raw path and query of a target in origin form."""
    path, _, query = target.partition("?")
    if "#" in target:
        return path.partition("#")[0], query.partition("#")[0]
    return path, query


def split_absolute(url: str) -> tuple[str, str] | None:
    """Those of a target in absolute form (RFC 9112 §3.2.2); None for what is none."""
    found = _ABSOLUTE.fullmatch(url)
    if found is None or (found[1] and int(found[1]) > 65535):
        return None
    return found[2] or "/", found[3] or ""
