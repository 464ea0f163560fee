"""Every secret that a configuration holds, for the redactor of the processes that know it.

Found by type, not by a list of names: whatever is a `Secret` is one, in sections to come too. Of a
URL the password counts by itself, as drivers print it without the rest.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from proxy.base.secret import Secret


def secrets_of(settings: object) -> frozenset[str]:
    """All of them, in the clear. Keep the result out of everything that prints."""
    return frozenset(_forms(settings))


def _forms(value: object) -> Iterator[str]:
    for secret in _found(value):
        yield secret
        if "://" not in secret:
            continue
        try:
            password = urlsplit(secret).password
        except ValueError:  # Several hosts, or a port that is none: no URL to this reader.
            continue
        if password:
            yield password
            yield unquote(password)


def _found(value: object) -> Iterator[str]:
    match value:
        case Secret():
            yield value.reveal()
        case BaseModel():
            for name in type(value).model_fields:
                yield from _found(getattr(value, name))
        case Mapping():
            for each in value.values():
                yield from _found(each)
        case tuple() | list() | frozenset():
            for each in value:
                yield from _found(each)
        case _:
            return
