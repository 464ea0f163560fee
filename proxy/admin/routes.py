"""The table of the admin API: every path, what answers there, and what is said of it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from proxy.admin import audit, keys, openapi, routing, targets
from proxy.admin.audit import Audit
from proxy.admin.desk import Desk
from proxy.admin.endpoints import Endpoint, Parameter, ref
from proxy.admin.key_usage import KeyUsage
from proxy.admin.keys import Keys
from proxy.admin.rotation import Rotations
from proxy.admin.routing import Routing
from proxy.admin.scopes import KINDS, Scopes
from proxy.admin.targets import Standing, Targets
from proxy.admin.usage import USAGE_PARAMETERS, usage_endpoint
from proxy.base.jsonio import dumps
from proxy.config.settings import Settings
from proxy.core.accounting import Reports
from proxy.core.identity import IdentityStore
from proxy.core.quota import ScopeKind
from proxy.usage.shipper import ShipperState

_TEXT = {"type": "string"}
_ID = Parameter("id", "path", "Which one.", _TEXT)
_MATCH = Parameter(
    "if-match", "header", "The version it is about: an `etag`, or `*` for any.", _TEXT, True
)
_MAY_MATCH = Parameter("if-match", "header", _MATCH.description, _TEXT)
_IDEMPOTENCY = Parameter(
    "idempotency-key", "header", "The same request again gives the same key, for 24 hours.", _TEXT
)
_LIMIT = Parameter(
    "limit", "query", "Entries of a page.",
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
)  # fmt: skip
_CURSOR = Parameter("cursor", "query", "`next_cursor` of the page before.", _TEXT)
_PAGE = (_LIMIT, _CURSOR)
_BODY_REFUSALS = (400, 409, 413, 415)
_CHANGE_REFUSALS = (400, 404, 409, 412, 413, 415, 428)
_ACTION_REFUSALS = (400, 404, 409, 412, 413, 415)
_COLLECTIONS: tuple[tuple[str, ScopeKind | None], ...] = (
    ("teams", "team"),
    ("users", "user"),
    ("projects", "project"),
    ("budgets", None),
)


class Sources(NamedTuple):
    """What the API reads and changes."""

    store: IdentityStore
    settings: Callable[[], Settings]
    reports: Reports
    shipping: Callable[[], ShipperState | None] = lambda: None
    standings: Callable[[], Iterable[Standing]] = tuple


def admin_endpoints(
    sources: Sources, release: str, others: tuple[Endpoint, ...] = ()
) -> tuple[Endpoint, ...]:
    """All that is below /admin. `others`: what the port answers besides, to be described too."""
    desk = Desk(sources.store, sources.settings)
    table = [usage_endpoint(sources.reports, sources.shipping), *_of_keys(desk, sources.reports)]
    for collection, kind in _COLLECTIONS:
        table += _of_scopes(desk, collection, kind)
    table += _of_targets(desk, sources.standings)
    table.append(_of_routing(desk, sources.standings))
    table += _of_audit(desk)
    row = _of_openapi(b"")
    document = dumps(openapi.openapi((*others, *table, row), release))
    return (*table, _of_openapi(document))


def _of_keys(desk: Desk, reports: Reports) -> list[Endpoint]:
    path, one = keys.PATH, f"{keys.PATH}/{{id}}"
    answers, usage = Keys(desk), KeyUsage(desk, reports)
    rotations = Rotations(desk, answers)
    filters = tuple(
        Parameter(name, "query", f"Only those of this {name}.", _TEXT)
        for name in ("name", "team", "user")
    )
    deleted = Parameter("deleted", "query", "Those that were deleted.", {"type": "boolean"})
    key, made = ref("Key"), ref("KeyWithSecret")
    return [
        Endpoint(
            "POST", path, answers.create, "create_key", "Make a key, or take over one that exists.",
            made, 201, ref("NewKey"), refusals=_BODY_REFUSALS,
        ),
        Endpoint(
            "GET", path, answers.list, "list_keys", "List keys in the order of their making.",
            ref("KeyList"), parameters=(*_PAGE, *filters, deleted), refusals=(400, 409),
        ),
        Endpoint(
            "GET", one, answers.show, "get_key", "Show a key.",
            key, parameters=(_ID,), refusals=(400, 404, 409),
        ),
        Endpoint(
            "PATCH", one, answers.patch, "update_key", "Change some fields of a key.",
            key, body=ref("KeyPatch"), parameters=(_ID, _MATCH), refusals=_CHANGE_REFUSALS,
        ),
        Endpoint(
            "PUT", one, answers.put, "replace_key", "Replace all fields of a key.",
            key, body=ref("VirtualKey"), parameters=(_ID, _MATCH), refusals=_CHANGE_REFUSALS,
        ),
        Endpoint(
            "DELETE", one, answers.delete, "delete_key", "Revoke a key for ever.",
            key, parameters=(_ID, _MATCH), refusals=(400, 404, 409, 412, 428),
        ),
        Endpoint(
            "POST", f"{one}/rotate", rotations.rotate, "rotate_key",
            "Give a key a new secret; the old one works for a while.",
            made, body=ref("Grace"), body_required=False,
            parameters=(_ID, _MAY_MATCH, _IDEMPOTENCY), refusals=(*_ACTION_REFUSALS, 422),
        ),
        *(
            Endpoint(
                "POST", f"{one}/{name}", handle, f"{name}_key", summary, key,
                body=ref("Nothing"), body_required=False,
                parameters=(_ID, _MAY_MATCH), refusals=_ACTION_REFUSALS,
            )
            for name, handle, summary in (
                ("block", answers.block, "Refuse a key until it is unblocked."),
                ("unblock", answers.unblock, "Take a blocked key again."),
            )
        ),
        Endpoint(
            "GET", f"{one}/usage", usage.show, "get_key_usage", "What a key has used.",
            ref("Usage"), parameters=(_ID, *USAGE_PARAMETERS), refusals=(400, 404, 409),
        ),
    ]  # fmt: skip


def _of_scopes(desk: Desk, collection: str, kind: ScopeKind | None) -> list[Endpoint]:
    path, one = f"/admin/{collection}", f"/admin/{collection}/{{id}}"
    answers = Scopes(desk, path, kind)
    word = kind or "scope"
    kinds = Parameter("kind", "query", "Only those of this kind.", {"enum": list(KINDS)})
    new = ref("NewNamedScope" if kind else "NewScope")
    scope = ref("Scope")
    return [
        Endpoint(
            "POST", path, answers.create, f"create_{word}", f"Make the entry of a {word}.",
            scope, 201, new, refusals=_BODY_REFUSALS,
        ),
        Endpoint(
            "GET", path, answers.list, f"list_{word}s", f"List the entries of {word}s.",
            ref("ScopeList"), parameters=_PAGE if kind else (*_PAGE, kinds), refusals=(400, 409),
        ),
        Endpoint(
            "GET", one, answers.show, f"get_{word}", f"Show the entry of a {word}.",
            scope, parameters=(_ID,), refusals=(400, 404, 409),
        ),
        Endpoint(
            "PATCH", one, answers.patch, f"update_{word}", "Change some fields of an entry.",
            scope, body=ref("ScopePatch"), parameters=(_ID, _MATCH), refusals=_CHANGE_REFUSALS,
        ),
        Endpoint(
            "PUT", one, answers.put, f"replace_{word}", "Replace all fields of an entry.",
            scope, body=ref("ScopeSettings"), parameters=(_ID, _MATCH), refusals=_CHANGE_REFUSALS,
        ),
        Endpoint(
            "DELETE", one, answers.delete, f"delete_{word}", "Take an entry away.",
            scope, parameters=(_ID, _MATCH), refusals=(400, 404, 409, 412, 428),
        ),
    ]  # fmt: skip


def _of_targets(desk: Desk, standings: Callable[[], Iterable[Standing]]) -> list[Endpoint]:
    answers = Targets(desk, standings)
    one = f"{targets.TARGETS}/{{route}}/{{provider}}/{{model}}"
    place = tuple(
        Parameter(name, "path", description, _TEXT)
        for name, description in (
            ("route", "The configured model."),
            ("provider", "Its provider."),
            ("model", "The model's name there, as the configuration has it."),
        )
    )
    name = (Parameter("name", "path", "Which provider.", _TEXT),)
    switches = (
        (f"{one}/open", answers.open, "open_target", "Send a target nothing.", place),
        (f"{one}/close", answers.close, "close_target", "Keep a target's breaker closed.", place),
        (f"{one}/auto", answers.auto, "auto_target", "Let a target's breaker decide.", place),
        (
            f"{targets.PROVIDERS}/{{name}}/disable", answers.disable, "disable_provider",
            "Send a provider nothing.", name,
        ),
        (
            f"{targets.PROVIDERS}/{{name}}/enable", answers.enable, "enable_provider",
            "Use a provider again.", name,
        ),
    )  # fmt: skip
    return [
        Endpoint(
            "GET", targets.TARGETS, answers.targets, "list_targets", "How every target is.",
            ref("TargetList"), refusals=(400,),
        ),
        Endpoint(
            "GET", targets.PROVIDERS, answers.providers, "list_providers", "How every provider is.",
            ref("ProviderList"), refusals=(400,),
        ),
        *(
            Endpoint(
                "POST", path, handle, operation, summary, ref("Switch"),
                body=ref("Nothing"), body_required=False,
                parameters=parameters, refusals=(400, 404, 409, 413, 415),
            )
            for path, handle, operation, summary, parameters in switches
        ),
    ]  # fmt: skip


def _of_routing(desk: Desk, standings: Callable[[], Iterable[Standing]]) -> Endpoint:
    answers = Routing(desk, standings)
    return Endpoint(
        "POST", routing.PATH, answers.explain, "explain_routing",
        "What would become of a request, and why; it is not sent.",
        ref("Explanation"), body=ref("Explain"), refusals=(400, 404, 413, 415),
    )  # fmt: skip


def _of_audit(desk: Desk) -> list[Endpoint]:
    answers = Audit(desk)
    about = Parameter("id", "query", "Only what was done to this.", _TEXT)
    return [
        Endpoint(
            "GET", audit.PATH, answers.list, "list_audit", "What was changed, the newest first.",
            ref("AuditEntryList"), parameters=(*_PAGE, about), refusals=(400, 409),
        ),
        Endpoint(
            "GET", f"{audit.PATH}/verify", answers.verify, "verify_audit",
            "Whether the log is as it was written.",
            ref("AuditVerdict"), refusals=(400, 409),
        ),
    ]  # fmt: skip


def _of_openapi(document: bytes) -> Endpoint:
    return Endpoint(
        "GET", openapi.PATH, openapi.serving(document), "get_openapi", "This document.",
        {"type": "object"},
    )  # fmt: skip
