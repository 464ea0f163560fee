"""For whom a request is made: customer, agent, session and tags, from headers or the body.

| label | header | body |
|---|---|---|
| customer | `x-llm-proxy-customer` | `user` |
| agent | `x-llm-proxy-agent` | `metadata.agent_id` |
| session | `x-llm-proxy-session` | `metadata.session_id` |
| tags | `x-llm-proxy-tags`, with commas | `metadata.tags`, with commas or a list |

A header comes before the body. A header given twice is refused: whoever counts by it would not know
which of the two is meant. A key's own agent cannot be overruled.
"""

from collections.abc import Mapping
from typing import Final

from proxy.base.errors import BadRequest
from proxy.core.exchange import Exchange
from proxy.core.labels import LONGEST, Labels, label
from proxy.core.reply import Reply
from proxy.wire.body import Body
from proxy.wire.own_fields import FIELDS, LABELS, MEMBERS, field

_NOTHING: Final[Mapping[str, object]] = {}
_MOST_TAGS: Final = 16
_IN_METADATA: Final = ("agent_id", "session_id", "tags")
_CUSTOMER: Final = field(LABELS[0])
_AGENT: Final = field(LABELS[1])
_SESSION: Final = field(LABELS[2])
_TAGS: Final = field(LABELS[3])


def labels(x: Exchange) -> Reply | None:
    """Fill in `x.labels` and `x.unmarked`. Raises BadRequest."""
    headers, body, own = x.incoming.headers, x.body, x.caller
    for name in FIELDS:
        if name in headers:
            break
    else:
        x.unmarked = type(body) is not Body or MEMBERS.isdisjoint(body.given)
        if x.unmarked and not (own.agent or own.tags):
            return None
    customer, agent, session, tags = (
        _given(x, name) for name in (_CUSTOMER, _AGENT, _SESSION, _TAGS)
    )
    said = _metadata(body) if isinstance(body, Body) else _NOTHING
    if not (customer or agent or session or tags or said or own.agent or own.tags):
        return None
    x.labels = Labels(
        _one(customer, said.get("user"), "user"),
        own.agent or _one(agent, said.get("agent_id"), "metadata.agent_id"),
        _one(session, said.get("session_id"), "metadata.session_id"),
        _tags(own.tags, tags if tags is not None else said.get("tags")),
    )
    return None


def _given(x: Exchange, name: str) -> str | None:
    """A header's value. Raises BadRequest where it is given twice."""
    value = x.incoming.headers.get(name)
    if value is None:
        return None
    wanted = name.encode("ascii")
    if sum(field[0].lower() == wanted for field in x.incoming.raw_headers) > 1:
        raise BadRequest(f"the header `{name}` is given twice", code="duplicate_header", param=name)
    return value


def _metadata(body: Body) -> Mapping[str, object]:
    if "user" not in body and "metadata" not in body:
        return _NOTHING
    metadata = body.object("metadata") or {}
    return {
        "user": body.text("user"),
        **{name: metadata[name] for name in _IN_METADATA if name in metadata},
    }


def _one(header: str | None, said: object, name: str) -> str | None:
    if header is None and said is not None and not isinstance(said, str):
        raise BadRequest(f"`{name}` must be a string", code="invalid_type", param=name)
    return label(header if header is not None else said)


def _tags(own: tuple[str, ...], said: object) -> tuple[str, ...]:
    if said is None:
        return own
    if isinstance(said, str):
        said = said[: _MOST_TAGS * LONGEST].split(",")
    if not isinstance(said, list) or not all(isinstance(tag, str) for tag in said):
        raise BadRequest(
            "`metadata.tags` must be a list of strings, or one string with commas",
            code="invalid_type",
            param="metadata.tags",
        )
    given = [tag for tag in map(label, said[:_MOST_TAGS]) if tag is not None]
    return tuple(dict.fromkeys((*own, *given)))[:_MOST_TAGS]
