"""The TLS context of outgoing connections, made once when a runtime is built.

System authorities always count; a custom one is added to them. Names are checked (SNI and
certificate) against the host that is dialled. Reading certificate files blocks: never call this
while requests run on the same loop turn.
"""

import ssl
from pathlib import Path


def make_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A verifying client context: TLS 1.2 or newer, HTTP/1.1 only.

    Raises OSError (no such file) or ssl.SSLError (not a certificate) for a bad `ca_file`.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
