"""The configuration of a soak run: many callers in teams, walls everywhere, a vendor that fails."""

from pathlib import Path

from bench.soak_traffic import CALLERS, NARROW, POOR, SHAKY, TEAMS
from bench.targets import KEY

_WALLS = (
    "limits: {rpm: 1000000000, tpm: 1000000000000}, budgets: [{amount: 1000000, period: month}]"
)
_POOL = "{keepalive: 10s}"
"""So that at rest nothing is kept for use again, and what stays open is a leak."""
_CONFIG = """\
listen: 127.0.0.1:{port}
workers: 1
auth: required
data_dir: {data}
store: embedded
spool: {{segment: 4MiB, age: 30s}}
providers:
  vendor: {{kind: openai, base_url: "{vendor}", api_keys: [sk-vendor], pool: {pool}}}
  shaky: {{kind: openai, base_url: "{vendor}", api_keys: [sk-vendor], pool: {pool}}}
proxies: {{none: ["*"]}}
admin: {{listen: "127.0.0.1:0"}}
telemetry:
  log: {{level: error}}
  otlp: {{endpoint: "{collector}", sample: 1.0}}
models:
  "*":
    targets: [{{provider: vendor, model: "*"}}]
    price: {{input: 0.5, output: 2}}
    {model_walls}
  {shaky}:
    targets: [{{provider: shaky, model: shaky}}]
    price: {{input: 0.5, output: 2}}
keys:
{keys}
teams:
{teams}
global: {{{walls}}}
"""


def text(vendor: str, port: int, data: Path) -> str:
    """The whole file. `vendor`: its base URL."""
    names = [(f"k{n}", f"sk-soak-{n}", f"t{n % TEAMS}", _WALLS) for n in range(CALLERS)]
    names.append(("bench", KEY, "t0", _WALLS))
    names.append(("narrow", NARROW, "t0", "limits: {rpm: 60}"))
    names.append(("poor", POOR, "t1", "budgets: [{amount: 0.01, period: day}]"))
    keys = [
        f'  - {{name: {name}, key: {key}, team: {team}, models: ["*"], {walls}}}'
        for name, key, team, walls in names
    ]
    return _CONFIG.format(
        port=port,
        data=data,
        vendor=vendor,
        pool=_POOL,
        collector=vendor.removesuffix("/v1"),
        shaky=SHAKY,
        model_walls=_WALLS.replace(", budgets", "\n    budgets"),
        keys="\n".join(keys),
        teams="\n".join(f"  t{n}: {{{_WALLS}}}" for n in range(TEAMS)),
        walls=_WALLS,
    )
