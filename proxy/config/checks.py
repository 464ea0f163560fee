"""What must agree between settings: names that exist, pairs that are whole, nothing twice.

Runs on the tree, where the places are, whether or not single values are right; each check passes
over what another part already refuses.
"""

import re
from collections.abc import Iterator

from proxy.config.addresses import ADMIN, API, Address, address
from proxy.config.checks_models import check_models
from proxy.config.checks_rules import check_rules
from proxy.config.named import ConfiguredModels, provider_exists, twice
from proxy.config.problems import Place, Problem
from proxy.config.tree import Items, Node, Scalar, Section
from proxy.config.values import processes

_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_MANY = (
    "teams", "users", "projects", "customers", "agents", "sessions", "tags", "models", "providers",
)  # fmt: skip
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def check(root: Section) -> Iterator[Problem]:
    """Every disagreement, in no order."""
    yield from _listen(root)
    yield from _tls(root)
    yield from _providers(root)
    models = ConfiguredModels(root)
    yield from check_models(root, models)
    yield from check_rules(root, models)
    yield from _passthrough(root)
    yield from _keys(root)
    yield from _jwt(root)
    yield from _auth(root)
    yield from _otlp(root)
    yield from _alerts(root)
    yield from _workers(root)
    yield from _unrecorded(root)


def _listen(root: Section) -> Iterator[Problem]:
    own, other = root.scalar("listen"), root.section("admin").scalar("listen")
    api, admin = _address(own, API), _address(other, ADMIN)
    if api is None or admin is None or not api.port or api.port != admin.port:
        return
    if api.host == admin.host or {api.host, admin.host} & _EVERYWHERE:
        place = other.place if other else own.place if own else root.place
        yield place.problem("`listen` and `admin.listen` must not be on the same port")


def _address(scalar: Scalar | None, default: Address) -> Address | None:
    """What is written or the default; None when that is refused elsewhere."""
    try:
        return address(scalar.value) if scalar else default
    except ValueError:
        return None


def _tls(root: Section) -> Iterator[Problem]:
    tls = root.section("tls")
    files = {key: tls.says(key) for key in ("certificate", "key")}
    for have, lack in (("certificate", "key"), ("key", "certificate")):
        if files[have] and not files[lack]:
            place = tls.entries[have].place
            yield place.problem(f"`tls.{have}` needs `tls.{lack}` too")


def _providers(root: Section) -> Iterator[Problem]:
    for name, entry in root.section("providers").entries.items():
        if not _PROVIDER_NAME.fullmatch(name):
            yield entry.place.problem(
                "a provider's name may hold letters, digits, `.`, `_` and `-`"
            )
    for _, _, provider in root.sections("providers"):
        kind = provider.scalar("kind")
        if kind and kind.value == "openai" and provider.scalar("delay"):
            yield provider.entries["delay"].place.problem("`delay` is for kind demo only")


def _passthrough(root: Section) -> Iterator[Problem]:
    yield from provider_exists(root, root.section("passthrough"))


def _keys(root: Section) -> Iterator[Problem]:
    callers = [node for node in root.items("keys") if isinstance(node, Section)]
    for field, message in (
        ("name", "this name is already used by the key at {}"),
        ("key", "this key is the same as that at {}"),
    ):
        yield from twice(filter(None, (caller.scalar(field) for caller in callers)), message)
    admin = root.section("admin").scalar("key")
    for caller in callers:
        key = caller.scalar("key")
        if key and admin and key.text and key.text == admin.text:
            yield admin.place.problem(f"this key is the same as that of a caller at {key.place}")


def _jwt(root: Section) -> Iterator[Problem]:
    issuers = (node.scalar("issuer") for node in root.items("jwt") if isinstance(node, Section))
    yield from twice(filter(None, issuers), "this issuer is already at {}")


def _auth(root: Section) -> Iterator[Problem]:
    auth = root.scalar("auth")
    written, tokens = root.entries.get("keys"), root.entries.get("jwt")
    if auth and auth.text != "required":
        return
    if any(entry is not None and _says_something(entry.node) for entry in (written, tokens)):
        return
    if root.section("admin").says("key") and not _is(root, "store", "none"):
        return  # Keys can be made in the store.
    place = auth.place if auth else written.place if written else root.place
    yield place.problem(
        "`auth` is `required` (the default) and there are no `keys`, so nobody could call; "
        "add an entry to `keys` or `jwt`, set `admin.key` and make keys in the store, "
        "or write `auth: none`"
    )


def _otlp(root: Section) -> Iterator[Problem]:
    otlp = root.section("telemetry").section("otlp")
    protocol, endpoint = otlp.scalar("protocol"), otlp.scalar("endpoint")
    if protocol is None or endpoint is None or protocol.value != "grpc":
        return
    rest = endpoint.text.partition("://")[2]
    if rest.rstrip("/").count("/"):
        yield endpoint.place.problem("with protocol grpc this must be a host and port, no path")


def _workers(root: Section) -> Iterator[Problem]:
    """Each worker would count by itself, and every limit would be as many times as large."""
    workers = root.scalar("workers")
    if workers is None or root.scalar("redis") is not None or not _several(workers):
        return
    walls = next(_walls(root), None)
    if walls is not None:
        yield workers.place.problem(
            f"more than one worker needs `redis`, for there are limits or budgets (at {walls}): "
            "each worker would count them by itself"
        )


def _unrecorded(root: Section) -> Iterator[Problem]:
    """Without Redis a worker counts from what was recorded before it began."""
    kept = _is(root.section("telemetry"), "content", "none") and not _is(root, "store", "none")
    if not kept or root.scalar("redis") is not None:
        return
    for kind in ("customers", "agents", "sessions", "tags"):
        for _, _, section in root.sections(kind):
            entry = section.entries.get("budgets")
            if entry is not None and _limits_something(entry.node):
                yield entry.place.problem(
                    f"budgets of {kind} need `redis` or `telemetry.content: metadata`: with "
                    "`content: none` no record says whose a request was, so they would begin "
                    "at 0 with every start of a worker"
                )


def _is(section: Section, key: str, value: str) -> bool:
    scalar = section.scalar(key)
    return scalar is not None and scalar.text == value


def _several(workers: Scalar) -> bool:
    try:
        return processes(workers.value) != 1  # `auto` is several somewhere.
    except ValueError:
        return False  # Refused elsewhere.


def _walls(root: Section) -> Iterator[Place]:
    """Where limits and budgets are written."""
    owners = [section for name in _MANY for _, _, section in root.sections(name)]
    owners.append(root.section("global"))
    for key in (node for node in root.items("keys") if isinstance(node, Section)):
        owners += [key, *(section for _, _, section in key.sections("model_limits"))]
    owners += [node.section("grants") for node in root.items("jwt") if isinstance(node, Section)]
    for owner in owners:
        for name in ("limits", "budgets"):
            entry = owner.entries.get(name)
            if entry is not None and _limits_something(entry.node):
                yield entry.place


def _limits_something(node: Node) -> bool:
    if isinstance(node, Section):
        return any(node.says(key) for key in node.entries)
    return isinstance(node, Items) and bool(node.nodes)


def _says_something(node: Node) -> bool:
    """Whether a list has an entry, or is no list, which is refused elsewhere."""
    if isinstance(node, Items):
        return bool(node.nodes)
    return not (isinstance(node, Scalar) and node.absent)


def _alerts(root: Section) -> Iterator[Problem]:
    store, alerts = root.scalar("store"), root.entries.get("alerts")
    if store and store.text == "none" and alerts is not None and _says_something(alerts.node):
        yield alerts.place.problem("`alerts` need a store, and `store` is none")
