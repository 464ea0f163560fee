"""JSON Schemas of what the admin API takes and gives: documents from the settings, the rest here.

Pydantic describes the settings; where a value has a language of its own (durations, money), what
that language takes is said instead.
"""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from proxy.admin.endpoints import Schema, ref
from proxy.config.callers import VirtualKey
from proxy.config.scopes import ScopeSettings

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MOMENT_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]*$"}
_OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}
_AMOUNT: Schema = {
    "description": "USD; as text it is exact to the last digit.",
    "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}],
}
_SERVER_FIELDS: Mapping[str, Schema] = {
    "object": _TEXT,
    "id": _TEXT,
    "version": {"type": "integer", "minimum": 1},
    "created": _MOMENT,
    "changed": _MOMENT,
    "deleted": _MOMENT_OR_NULL,
}
_KEY_TEXT: Schema = {
    "type": "string",
    "pattern": "^[!-~]{16,256}$",
    "description": "A key that exists already.",
}
_HASH_TEXT: Schema = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{64}$",
    "description": "The SHA-256 of a key that exists already.",
}


def schemas() -> dict[str, Any]:
    """All schemas, by name."""
    found = _documents()
    key, scope = found["VirtualKey"], found["ScopeSettings"]
    found |= {
        "NewKey": _with(key, {"key": _KEY_TEXT, "hash": _HASH_TEXT}, ("name",)),
        "KeyPatch": _patch(),
        "Key": _with(
            key,
            {**_SERVER_FIELDS, "hash_prefix": _HEX, "old_until": _MOMENT_OR_NULL},
            (*_SERVER_FIELDS, "hash_prefix", "name"),
            shown=True,
        ),
        "NewNamedScope": _with(scope, {"name": _TEXT}, ("name",)),
        "NewScope": _with(scope, {"id": _SCOPE_ID}, ("id",)),
        "ScopePatch": _patch(),
        "Scope": _with(
            scope,
            {**_SERVER_FIELDS, "kind": _TEXT, "name": _TEXT},
            (*_SERVER_FIELDS, "kind", "name"),
            shown=True,
        ),
        "Grace": _object({"grace": _GRACE}, ()),
        "Nothing": {"type": "object", "maxProperties": 0},
        "AuditEntry": _AUDIT_ENTRY,
        "AuditVerdict": _AUDIT_VERDICT,
        "Usage": {"type": "object", "required": ["object", "data", "has_more", "next_cursor"]},
        "Target": _TARGET,
        "Provider": _PROVIDER,
        "Switch": _SWITCH,
        "Explain": _EXPLAIN,
        "Explanation": _EXPLANATION,
        "Error": _ERROR,
        "State": {"type": "object"},
    }
    found["KeyWithSecret"] = {
        "allOf": [
            ref("Key"),
            {"type": "object", "properties": {"key": {"description": "Shown once.", **_TEXT}}},
        ]
    }
    for name in ("Key", "Scope", "AuditEntry", "Target", "Provider"):
        found[f"{name}List"] = _list(name)
    return found


_SCOPE_ID: Schema = {
    "type": "string",
    "pattern": "^(global|(team|user|project|customer|agent|session|tag|model|provider):.+)$",
}
_GRACE: Schema = {
    "description": "How long the old key works: `30m`, `24h`, `7d`, or seconds.",
    "default": "24h",
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
}


def _documents() -> dict[str, Any]:
    _, made = models_json_schema(
        [(VirtualKey, "validation"), (ScopeSettings, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    found: dict[str, Any] = made["$defs"]
    found["Budget"]["properties"]["amount"] = dict(_AMOUNT)
    for schema in found.values():
        schema.pop("title", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
    return found


def _object(properties: Mapping[str, Schema], required: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _with(
    schema: dict[str, Any],
    fields: Mapping[str, Schema],
    required: tuple[str, ...],
    *,
    shown: bool = False,
) -> dict[str, Any]:
    """A document's schema with more fields. `shown`: as answers have it, where null is said."""
    made = _object({**schema.get("properties", {}), **fields}, required)
    made["description"] = schema.get("description", "")
    if shown:
        made["additionalProperties"] = True
    return made


def _patch() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Fields to change; null takes a field away (RFC 7396).",
        "additionalProperties": True,
    }


def _list(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": ref(name)},
            "has_more": {"type": "boolean"},
            "next_cursor": {"type": ["string", "null"]},
        },
        "required": ["object", "data", "has_more", "next_cursor"],
    }


_AUDIT_ENTRY: Schema = _object(
    {
        "object": _TEXT, "seq": _NUMBER, "at": _MOMENT, "actor": _TEXT, "address": _TEXT,
        "action": _TEXT, "kind": _TEXT, "id": _TEXT, "before": _OBJECT_OR_NULL,
        "after": _OBJECT_OR_NULL, "previous": _HEX, "hash": _HEX,
    },
    ("object", "seq", "at", "actor", "action", "kind", "id", "previous", "hash"),
)  # fmt: skip
_AUDIT_VERDICT: Schema = _object(
    {
        "object": _TEXT, "valid": {"type": "boolean"}, "entries": _NUMBER, "seq": _NUMBER,
        "hash": _HEX, "broken": {"type": ["integer", "null"]},
        "reason": {"type": ["string", "null"]},
    },
    ("object", "valid", "entries", "seq", "hash", "broken", "reason"),
)  # fmt: skip
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"], "minimum": 0}
_TARGET: Schema = _object(
    {
        "object": _TEXT, "route": _TEXT, "provider": _TEXT, "model": _TEXT,
        "status": {"enum": ["off", "open", "half_open", "resting", "closed", "unknown"]},
        "why": _TEXT_OR_NULL, "mode": {"enum": ["auto", "open", "closed"]}, "in_flight": _NUMBER,
        "availability": {**_NUMBER_OR_NULL, "maximum": 1}, "latency": _NUMBER_OR_NULL,
        "checked": _MOMENT_OR_NULL, "fault": _TEXT_OR_NULL, "fault_at": _MOMENT_OR_NULL,
        "workers": {"type": "object", "additionalProperties": _TEXT},
    },
    ("object", "route", "provider", "model", "status", "mode", "in_flight", "workers"),
)  # fmt: skip
_PROVIDER: Schema = _object(
    {
        "object": _TEXT, "name": _TEXT, "kind": _TEXT, "off": _TEXT_OR_NULL, "keys": _NUMBER,
        "keys_resting": _NUMBER,
    },
    ("object", "name", "kind", "off", "keys", "keys_resting"),
)  # fmt: skip
_SWITCH: Schema = _object(
    {
        "object": _TEXT, "route": _TEXT_OR_NULL, "provider": _TEXT, "model": _TEXT_OR_NULL,
        "state": {"enum": ["open", "closed", "disabled", None]},
    },
    ("object", "route", "provider", "model", "state"),
)  # fmt: skip
_EXPLAIN: Schema = _object(
    {
        "request": {"type": "object", "description": "The body, as a caller would send it."},
        "key": {"description": "Who asks: the name of a key. Needed unless `auth: none`.", **_TEXT},
        "headers": {"type": "object", "additionalProperties": _TEXT},
        "path": {"default": "/v1/chat/completions", **_TEXT},
    },
    ("request",),
)
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_EXPLANATION: Schema = _object(
    {
        "object": {"const": "explanation"}, "config": _TEXT, "request": {"type": "object"},
        "caller": {"type": "object"}, "steps": _OBJECTS, "refusal": _OBJECT_OR_NULL,
        "rules": _OBJECTS, "decision": _OBJECT_OR_NULL, "model": _OBJECT_OR_NULL,
        "walls": {"type": "object"}, "by_lot": {"type": "boolean"}, "targets": _OBJECTS,
        "dropped": _OBJECTS, "policies": _OBJECTS,
    },
    (
        *("object", "config", "request", "caller", "steps", "refusal", "rules", "decision"),
        *("model", "walls", "by_lot", "targets", "dropped", "policies"),
    ),
)  # fmt: skip
_ERROR: Schema = _object(
    {
        "error": _object(
            {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            ("message", "type", "param", "code"),
        )
    },
    ("error",),
)
