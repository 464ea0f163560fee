"""The catalogue: every known model of every known vendor, as read from its file.

The file is JSON in one layout (`text_of`), one model a line: a new edition shows as a readable
difference, and it is read line by line, so that thousands of models cost a worker little memory
and nothing for the garbage collector to walk through. A model stays packed until it is asked for.
Names find a model at once; failing that, the rules of the vendor are tried in their order.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proxy.base.jsonio import JSONError, dumps, loads

BUNDLED = Path(__file__).with_name("catalogue.json")
FORMAT = 1
UNIT = "nano-USD per million tokens; image, request, search: nano-USD each; audio_hour: per hour"

_HASH_DIGITS = 8
_MODELS = b'"models": {'
_VERSION = b'"version": '
_VENDOR = re.compile(rb'("[^"]+"): \[')
_CLOSING = frozenset((b"", b"{", b"}", b"]", b"],"))


class Unreadable(ValueError):
    """A file that is not in the layout of a catalogue, or that was changed since it was written."""


class Catalogue:
    """One edition. `text` must be in the layout; its content was validated when it was written
    (validation.py), which its version proves. Raises Unreadable."""

    __slots__ = ("_fallbacks", "_hosts", "_models", "_names", "_rules", "date", "source", "version")

    def __init__(self, text: bytes) -> None:
        lines = text.split(b"\n")
        if _MODELS not in lines:
            raise Unreadable("it has no line that begins the models")
        first = lines.index(_MODELS)
        try:
            head: dict[str, Any] = loads(b"\n".join(lines[:first]).rstrip(b",") + b"}")
            self.version: str = head["version"]
            self.date: str = head["date"]
            self.source: str = head["source"]
            self._hosts: tuple[tuple[str, str], ...] = tuple(map(tuple, head["hosts"]))
            self._fallbacks = {name: tuple(others) for name, others in head["fallbacks"].items()}
        except (JSONError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"its head is broken: {error}") from None
        if self.version != _stamp(self.date, lines):
            raise Unreadable("its version does not fit its content")
        self._models: dict[str, list[bytes]] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._rules: dict[str, bytes] = {}
        try:
            self._read(lines[first + 1 :])
        except (JSONError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"its models are broken: {error}") from None

    def _read(self, lines: list[bytes]) -> None:
        rules: dict[str, list[list[Any]]] = {}
        vendor = ""
        for line in lines:
            if line in _CLOSING:
                continue
            if begin := _VENDOR.fullmatch(line):
                vendor = loads(begin[1])
                self._models[vendor], self._names[vendor], rules[vendor] = [], {}, []
                continue
            packed = line.removesuffix(b",")
            model = loads(packed)
            place = len(self._models[vendor])
            self._models[vendor].append(packed)
            names = model.get("names", (model["id"].lower(),))
            self._names[vendor].update(dict.fromkeys(names, place))
            rules[vendor] += [[place, rule] for rule in model.get("match", ())]
        self._rules = {name: dumps(each) for name, each in rules.items()}

    @property
    def providers(self) -> tuple[str, ...]:
        """All vendors."""
        return tuple(self._models)

    def models(self, provider: str) -> Iterator[dict[str, Any]]:
        """The entries of a vendor."""
        return map(loads, self._models.get(provider, ()))

    def provider_at(self, base_url: str) -> str | None:
        """The vendor behind a base URL or a host."""
        url = base_url if "://" in base_url else f"https://{base_url}"
        return next((name for name, pattern in self._hosts if re.match(pattern, url, re.I)), None)

    def find(self, provider: str, name: str) -> dict[str, Any] | None:
        """The entry for a name in lower case, at this vendor or at one whose models it serves."""
        for each in (provider, *self._fallbacks.get(provider, ())):
            place = self._place(each, name)
            if place is not None:
                found: dict[str, Any] = loads(self._models[each][place])
                return found
        return None

    def _place(self, provider: str, name: str) -> int | None:
        names = self._names.get(provider)
        if names is None:
            return None
        if (place := names.get(name)) is not None:
            return place
        for place, rule in loads(self._rules[provider]):
            if matches(rule, name):
                return int(place)
        return None


def matches(rule: list[Any], name: str) -> bool:
    """Whether a name in lower case is meant by a rule such as ["starts", "gpt-4o-audio"]."""
    match rule:
        case ["or", *given]:
            return any(matches(each, name) for each in given)
        case ["and", *given]:
            return all(matches(each, name) for each in given)
        case ["is", str(text)]:
            return name == text
        case ["starts", str(text)]:
            return name.startswith(text)
        case ["ends", str(text)]:
            return name.endswith(text)
        case ["contains", str(text)]:
            return text in name
        case [_, str(pattern)]:
            return re.search(pattern, name) is not None
        case _:
            return False


def version_of(body: Mapping[str, Any]) -> str:
    """The version of a catalogue: its date and a hash of its file but for the version."""
    return _stamp(body["date"], text_of(body).split(b"\n"))


def _stamp(day: str, lines: list[bytes]) -> str:
    digest = hashlib.sha256(b"\n".join(line for line in lines if not line.startswith(_VERSION)))
    return f"{day}-{digest.hexdigest()[:_HASH_DIGITS]}"


def text_of(body: Mapping[str, Any]) -> bytes:
    """The file of a catalogue: keys in order of the alphabet, the models last, one a line."""
    head = [
        b"%b: %b" % (dumps(key), dumps(_sorted(body[key])))
        for key in sorted(body.keys() - {"models"})
    ]
    vendors = [
        b"%b: [\n%b\n]" % (dumps(name), b",\n".join(dumps(_sorted(model)) for model in models))
        for name, models in sorted(body["models"].items())
    ]
    return b"{\n%b,\n%b\n%b\n}\n}\n" % (b",\n".join(head), _MODELS, b",\n".join(vendors))


def _sorted(value: Any) -> Any:
    """The value with the keys of all its objects in order, so that equal content is equal text."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
