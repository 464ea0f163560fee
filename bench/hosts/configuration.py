"""What each host is configured with: everything on, and two callers whose walls can be reached.

The key of the load has limits and hard budgets around it, its team, the model and everybody, none
of which it reaches: twelve rules that Redis looks at, twice a request. Of the other two keys one
has a limit of requests a minute, one a budget of so many calls. All hosts have the same file but
for their own addresses and folder, as hosts of one service do.
"""

from pathlib import Path
from typing import NamedTuple

from bench.targets import KEY

LIMITED_KEY, POOR_KEY = "sk-hosts-limited", "sk-hosts-poor"
LIMIT = 500
"""Requests of the limited key in a minute, of all hosts together."""

CALLS_PAID = 300
CALL_COSTS = 195_000
"""Nano-USD: what the mock vendor says it used (230 tokens in, 40 out) by the prices below."""

BUDGET = CALLS_PAID * CALL_COSTS

PORT, ADMIN_PORT = 8080, 8081

_WALLS = (
    "limits: {rpm: 1000000000, tpm: 1000000000000}, budgets: [{amount: 1000000, period: month}]"
)
_TEXT = """\
listen: {host}:{port}
workers: 1
auth: required
data_dir: {data}
store: {store}
redis: {redis}
store_failure: {{limits: deny, budgets: deny}}
admin: {{listen: "{host}:{admin}"}}
keys:
  - {{name: many, key: {many}, team: many, {walls}}}
  - {{name: limited, key: {limited}, limits: {{rpm: {limit}}}}}
  - {{name: poor, key: {poor}, budgets: [{{amount: "{budget}", period: total}}]}}
providers:
  vendor: {{kind: openai, base_url: "{vendor}/v1", api_keys: [sk-vendor]}}
proxies: {{none: ["*"]}}
telemetry:
  log: {{level: warning}}
  otlp: {{endpoint: "{vendor}", sample: 1.0}}
models:
  "*":
    targets: [{{provider: vendor, model: "*"}}]
    price: {{input: 0.5, output: 2}}
    {model_walls}
teams: {{many: {{{walls}}}}}
global: {{{walls}}}
"""


class Shared(NamedTuple):
    """What all hosts have in common, as URLs."""

    store: str
    redis: str
    vendor: str


def text(host: str, shared: Shared, data: Path) -> str:
    """The whole file of a host with this address."""
    return _TEXT.format(
        host=host,
        port=PORT,
        admin=ADMIN_PORT,
        data=data,
        store=shared.store,
        redis=shared.redis,
        vendor=shared.vendor,
        many=KEY,
        limited=LIMITED_KEY,
        limit=LIMIT,
        poor=POOR_KEY,
        budget=f"{BUDGET // 10**9}.{BUDGET % 10**9:09d}",
        walls=_WALLS,
        model_walls=_WALLS.replace(", budgets", "\n    budgets"),
    )
