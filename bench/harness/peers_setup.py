"""Sets up the gateways that we are compared with, each from its own package registry.

Everything goes into one folder and nothing into the system: a virtual environment for each Python
package, a `node_modules`, and nginx unpacked from its Debian packages. What is there already is
used as it is; remove the folder for newer versions. Run once: it needs the network, measuring does
not.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.children import ChildFailed
from proxy.base.jsonio import dumps

_PATIENCE = 900.0
_NGINX = ("nginx", "nginx-common")
_DONE = ".set-up"
PORTKEY_SERVER = "1.14.1"
"""Of `@hono/node-server`, which Portkey leaves open. With a later one its streams are answered with
500, `TypeError: immutable`: it adds to the headers of the vendor's answer (its issue 1389)."""


def _run(command: Sequence[str | Path], folder: Path) -> str:
    """What it printed. Raises ChildFailed with the end of what it complained of."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChildFailed(f"{command[0]}: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout)[-1500:]
        raise ChildFailed(f"{' '.join(map(str, command[:4]))} ended with {done.returncode}\n{said}")
    return done.stdout.strip()


def _python(package: str) -> Callable[[Path], str]:
    name = package.partition("[")[0]

    def make(folder: Path) -> str:
        _run([sys.executable, "-m", "venv", folder / "venv"], folder)
        python = folder / "venv/bin/python"
        _run([python, "-m", "pip", "install", "-q", package], folder)
        asked = f"from importlib.metadata import version; print(version({name!r}))"
        return _run([python, "-c", asked], folder)

    return make


def _portkey(folder: Path) -> str:
    pinned = {"private": True, "overrides": {"@hono/node-server": PORTKEY_SERVER}}
    (folder / "package.json").write_bytes(dumps(pinned))
    _run(["npm", "install", "--no-fund", "--no-audit", "@portkey-ai/gateway"], folder)
    asked = "console.log(require('./node_modules/@portkey-ai/gateway/package.json').version)"
    return _run(["node", "-e", asked], folder)


def _nginx(folder: Path) -> str:
    if found := shutil.which("nginx"):
        (folder / "nginx").symlink_to(found)
    else:
        _run(["apt-get", "download", *_NGINX], folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg", "-x", package, folder], folder)
        (folder / "nginx").symlink_to(folder / "usr/sbin/nginx")
    return _run(["sh", "-c", f"'{folder}/nginx' -v 2>&1 | sed 's,.*/,,'"], folder)


_SETUPS: dict[str, Callable[[Path], str]] = {
    "litellm": _python("litellm[proxy]"),
    "portkey": _portkey,
    "vllm-router": _python("vllm-router"),
    "tensorzero": _python("tensorzero"),
    "nginx": _nginx,
}
NAMES = tuple(_SETUPS)


def set_up(name: str, folder: Path) -> str:
    """Have the peer in its place below `folder`; its version. Raises ChildFailed."""
    place = folder.absolute() / name
    done = place / _DONE
    if not done.exists():
        if place.exists():
            shutil.rmtree(place)  # Of an attempt that was broken off.
        place.mkdir(parents=True)
        done.write_text(_SETUPS[name](place))
    return done.read_text().strip()
