"""Header fields that the operator sets on requests to others: names, values, and none twice."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from proxy.config.scalars import Blank
from proxy.config.values import FieldValue

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_TRANSPORTS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection",
    "te", "trailer", "upgrade",  # codespell:ignore te
})  # fmt: skip


def field_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is no header field name (RFC 9110)")
    if name.lower() in _TRANSPORTS:
        raise ValueError("cannot be set: the connection sets it")
    return name


def once(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if len({name.lower() for name in fields}) < len(fields):
        raise ValueError("names a field twice; upper and lower case are the same")
    return fields


def said(fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """Those that say something: null, or what its variables left empty, is as if not written."""
    return {k: v for k, v in fields.items() if v is not None and not isinstance(v, Blank)}


FieldName = Annotated[str, AfterValidator(field_name)]
Fields = Annotated[Mapping[FieldName, FieldValue], AfterValidator(once)]
