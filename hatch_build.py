"""Compiles the hot path with mypyc, where HATCH_BUILD_HOOKS_ENABLE=1 asks for it.

The modules that every request, chunk or record passes, listed in pyproject.toml, become extension
modules beside their sources in the wheel; all others stay Python, and so do these in a source tree:
nothing is written there. See docs/adr/0021-compiled.md.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SETUP = """
from setuptools import setup
from mypyc.build import mypycify
setup(name="llm-proxy", packages=[], ext_modules=mypycify(
    {arguments!r}, opt_level="3", debug_level="0", multi_file=True, group_name="llm_proxy",
    target_dir={target!r},
))
"""


class CompileHook(BuildHookInterface[Any]):
    """A build hook of hatchling, off unless asked for."""

    def dependencies(self) -> list[str]:
        """What compiling needs, besides a C compiler: told to pip only where this is on."""
        return list(self.config["compilers"])

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the results into the wheel. Raises RuntimeError with what mypyc said."""
        if version == "editable":
            raise RuntimeError("an editable install is not compiled: its changes would go unseen")
        self._folder = TemporaryDirectory(prefix="llm-proxy-compiled-")
        built = Path(self._folder.name)
        _compile(Path(self.root), self.config["modules"], built)
        for found in sorted(built.glob("lib/**/*.so")):
            build_data["force_include"][str(found)] = str(found.relative_to(built / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is made: what went into it is no longer needed."""
        self._folder.cleanup()


def _compile(root: Path, modules: list[str], built: Path) -> None:
    """Make `built/lib`: an extension module for each of `modules`, and what they share."""
    setup = built / "setup.py"  # Elsewhere than pyproject.toml, which setuptools would read.
    arguments = ["--config-file", str(root / "pyproject.toml")]
    arguments += ["--cache-dir", str(built / "mypy"), *modules]
    setup.write_text(_SETUP.format(arguments=arguments, target=str(built / "c")))
    command = [sys.executable, str(setup), "-q", "build_ext", "--build-lib", str(built / "lib")]
    done = subprocess.run(
        [*command, "--build-temp", str(built / "o")],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"the compiled wheel could not be made; without HATCH_BUILD_HOOKS_ENABLE it is plain "
            f"Python and needs no compiler\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
