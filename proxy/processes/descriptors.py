"""How many sockets this process and its children may have open.

A streamed answer holds two: the client's and the vendor's. Many systems start programs with a soft
limit of 1024, which is for programs that use select(); ours does not, so we take what is allowed.
"""

import resource

_PLENTY = 1 << 20


def raise_limit() -> int:
    """Lift the soft limit of open files to the hard one and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PLENTY if hard == resource.RLIM_INFINITY else min(hard, _PLENTY)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
