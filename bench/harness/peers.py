"""Starts the gateways that we are compared with, each as its own documents say, for one core.

All run with what they do by default: keys where they have them, no database, no traces, the least
log. Ours runs with everything on. What each is configured with stands in the report. A peer that
cannot be set up or started is left out, and the reason is told; the others are measured.
"""

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.children import Child
from bench.harness.peers_setup import PORTKEY_SERVER, set_up
from bench.harness.run import Target
from bench.harness.scenarios import SCENARIOS
from bench.targets import KEY, first_answer, free_port

_READY = 90.0
_CONFIGS = frozenset((".yaml", ".toml", ".conf"))
_LITELLM = """\
model_list:
  - model_name: "*"
    litellm_params: {{model: "openai/*", api_base: "{vendor}/v1", api_key: sk-vendor}}
litellm_settings: {{drop_params: false, telemetry: false}}
general_settings: {{master_key: {key}}}
"""
_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_max_body_size 32m;
  client_body_buffer_size 4m;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream vendor {{ server {authority}; keepalive 4096; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://vendor;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
_TENSORZERO_MODEL = """\
[models."{name}"]
routing = ["vendor"]
[models."{name}".providers.vendor]
type = "openai"
model_name = "{name}"
api_base = "{vendor}/v1/"
api_key_location = "none"
"""
_TENSORZERO = """\
import os, sys, threading
from openai_shape import Client
import tensorzero
out = os.dup(1)
os.dup2(2, 1)  # What it logs is a complaint; on the pipe it would stop it once that is full.
client = tensorzero.patch_openai_client(Client(), config_file=sys.argv[1], async_setup=False)
os.write(out, b'{"url": "%s"}\\n' % client.base_url.encode())
threading.Event().wait()
"""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a peer is started and spoken to. `url`: None where it says it itself."""

    command: Sequence[str]
    about: str
    url: str | None
    prefix: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def _litellm(place: Path, folder: Path, vendor: str, port: int) -> _Way:
    config = folder / "litellm.yaml"
    config.write_text(_LITELLM.format(vendor=vendor, key=KEY))
    binary = str(place / "venv/bin/litellm")
    command = [binary, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    about = "proxy, one worker, master key, wildcard model, no database"
    return _Way([*command, "--num_workers", "1"], about, _v1(port))


def _portkey(place: Path, folder: Path, vendor: str, port: int) -> _Way:
    script = place / "node_modules/@portkey-ai/gateway/build/start-server.js"
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{vendor}/v1"}
    command = ["node", str(script), f"--port={port}", "--headless"]
    about = f"gateway, provider by headers, no keys, @hono/node-server {PORTKEY_SERVER}"
    return _Way(command, about, _v1(port), headers=headers)


def _vllm_router(place: Path, folder: Path, vendor: str, port: int) -> _Way:
    command = [
        str(place / "venv/bin/vllm-router"), "--host", "127.0.0.1", "--port", str(port),
        "--worker-urls", vendor, "--policy", "round_robin", "--log-level", "error",
        "--prometheus-port", str(free_port()),
    ]  # fmt: skip
    return _Way(command, "one backend, round robin, no keys", _v1(port))


def _nginx(place: Path, folder: Path, vendor: str, port: int) -> _Way:
    config = folder / "nginx.conf"
    authority = vendor.removeprefix("http://")
    config.write_text(_NGINX.format(folder=folder, authority=authority, port=port))
    command = [str(place / "nginx"), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    return _Way(command, "one process, keep-alive both ways, no features", _v1(port))


def _tensorzero(place: Path, folder: Path, vendor: str, port: int) -> _Way:
    plans = {row.plan for row in SCENARIOS.values() if row.plan}
    names = ["bench-chat", "bench-tools", *(f"bench-stream-{plan}" for plan in sorted(plans))]
    config, script = folder / "tensorzero.toml", folder / "tensorzero_gateway.py"
    rows = [_TENSORZERO_MODEL.format(name=name, vendor=vendor) for name in names]
    config.write_text("".join(rows))
    script.write_text(_TENSORZERO)
    # All that it wants of the SDK: an object with an address.
    (folder / "openai_shape.py").write_text("class Client:\n    base_url = ''\n")
    command = [str(place / "venv/bin/python"), str(script), str(config)]
    about = "its embedded gateway, one model for each name, no ClickHouse"
    return _Way(command, about, None, prefix="tensorzero::model_name::")


_WAYS: dict[str, Callable[[Path, Path, str, int], _Way]] = {
    "litellm": _litellm,
    "portkey": _portkey,
    "vllm-router": _vllm_router,
    "tensorzero": _tensorzero,
    "nginx": _nginx,
}


def start(
    stack: ExitStack, name: str, peers: Path, vendor: Target, *, cores: Sequence[int], folder: Path
) -> Target:
    """Set the peer up in `peers`, if it is not yet, and start it. Raises ChildFailed."""
    version = set_up(name, peers)
    mine = folder / name
    mine.mkdir()
    place = peers.absolute() / name
    way = _WAYS[name](place, mine, vendor.url.removesuffix("/v1"), free_port())
    # What it prints goes where complaints go, unless it says where it is: a full pipe stops it.
    shell = 'exec "$0" "$@"' if way.url is None else 'exec "$0" "$@" >&2'
    child = stack.enter_context(
        Child(
            name,
            ["-c", shell, *way.command],
            cores=cores,
            program="/bin/sh",
            folder=mine,
            apart=True,
        )
    )
    url = way.url or child.line(_READY)["url"].rstrip("/")
    model = f"{way.prefix}bench-chat"
    first_answer(url, child, limit=_READY, model=model, headers=way.headers)
    written = [path.read_text() for path in sorted(mine.glob("*.*")) if path.suffix in _CONFIGS]
    return Target(
        name,
        url,
        KEY,
        judged=child.pid,
        root=child.pid,
        about=f"{name} {version.removeprefix(f'{name} ')}, {way.about}",
        prefix=way.prefix,
        headers=way.headers,
        config="\n".join([shlex.join(way.command), *written]),
    )


def _v1(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"
