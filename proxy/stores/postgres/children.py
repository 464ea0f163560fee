"""Our child processes of PostgreSQL: started by `launch.py`, as the account, in no one's debt.

Root has PostgreSQL run as `nobody`, who may be barred from the data: a clone below /root, a folder
of mode 0700. Then the children keep one capability of root's, the smallest that opens the way:
CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container has only that. What counts is whether a
child gets in, so that is tried.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from proxy.stores.postgres import launch
from proxy.stores.postgres.account import Account
from proxy.stores.postgres.programs import NoPostgres

_LAUNCH = str(Path(launch.__file__).resolve())
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
_NOTHING, _READ_SEARCH, _OVERRIDE = 0, 2, 1
_WAYS = (_NOTHING, _READ_SEARCH, _OVERRIDE)  # Nothing: an access list may say more than a mode.
_ENTER = "import os, sys; os.stat(sys.argv[1] + '/.')"


class Children:
    """Starts programs as an account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._capability = _NOTHING

    async def make_way(self, folder: Path) -> None:
        """See that children can get into the folder. Raises NoPostgres."""
        barred = await asyncio.to_thread(self.account.barred_from, folder)
        if barred is None:
            return
        for self._capability in _WAYS:
            code, _ = await self.run(Path(sys.executable), *("-I", "-S", "-c", _ENTER, str(folder)))
            if code == 0:
                return
        raise NoPostgres(
            f"PostgreSQL does not run as root, and the user `nobody` may not enter {barred}: "
            "run llm-proxy as another user, or choose another data_dir"
        )

    async def run(self, program: Path, *arguments: str) -> tuple[int, str]:
        """Run a program to its end; its exit code and all that it said."""
        process = await self.spawn(program, *arguments)
        try:
            out, err = await process.communicate()
        except BaseException:
            await end(process)
            raise
        assert process.returncode is not None
        return process.returncode, (out + err).decode(errors="replace")

    async def spawn(
        self, program: Path, *arguments: str, keep: tuple[int, ...] = ()
    ) -> asyncio.subprocess.Process:
        """Start a program. `keep`: descriptors that it inherits; then its output is not read."""
        owner = f"{self.account.uid}:{self.account.gid}:{self._capability}"
        # On the loop's own thread: Linux tells the child when the *thread* that made it ends.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _LAUNCH, str(os.getpid()), owner),
            *(str(program), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if not keep else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=keep,
            process_group=0,  # A Ctrl-C at the terminal is for us, who end it in our order.
        )


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGINT is a fast shutdown, SIGQUIT an immediate one. Harmless when it has ended."""
    for number, patience in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                _ = await process.wait()
                return
