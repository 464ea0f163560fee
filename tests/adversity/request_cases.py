"""Requests to compare the two HTTP servers by: well-formed, odd and malformed. Data only."""

from tests.adversity.bad_requests import FRAMING, HEADS

HOST = b"Host: x\r\n"
POST = b"POST /v1/x HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
THREE = b"Content-Length: 3\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: %b\r\n"


def get(target: bytes = b"/", fields: bytes = HOST, *, line: bytes = b"GET %b HTTP/1.1") -> bytes:
    return line % target + b"\r\n" + fields + b"\r\n"


NEXT = get(b"/next")

TARGETS = [
    "/", "/a?b=c", "/a?b#c", "/a#b?c", "*", "a", "//h/a", "?x", "#x", "/\xe9", "/a\x7f", "/%zz",
    "http://h", "http://h/", "http://h:80/a?b", "http://h?x", "http://u:p@h/a", "http://[::1]/a",
    "http://h:x/", "http://h:99999/", "http://h:/", "http:///a", "http://h#f", "HTTP://h/a",
    "http://h/a#f?x", "http://a b/", "http://h/%zz", "http://\xe9/", "http://h\\a/", "ftp://h/a",
    "mailto:x",
]  # fmt: skip

METHODS = [
    b"get", b"M-SEARCH", b"PRI", b"QUERY", b"SOURCE", b"DESCRIBE", b"FLUSH", b"OPTIONS", b"DELETE",
    b"PATCH", b"HEAD", b"TRACE", b"X", b"POSTS", b"GE",
]  # fmt: skip

FIELDS: dict[str, bytes] = {
    "latin-1": b"X: \xe9\xff\r\n",
    "UTF-8": "X: é\r\n".encode(),
    "control characters": b"X: \x01\x7f\r\n",
    "vertical tabs": b"X: \x0bb\x0b\r\n",
    "tabs and spaces": b"X:\t b\t \r\n",
    "an empty value": b"X:\r\nY: \r\nZ: z\r\n",
    "doubled": b"X: a\r\nx: b\r\n",
    "doubled type": b"Content-Type: a\r\ncontent-type: b\r\n",
    "doubled host": HOST,
    "underscores": b"Content_Length: 3\r\n",
    "128 of them": b"X: y\r\n" * 127,
    "129 of them": b"X: y\r\n" * 128,
    "16 KiB": b"X: " + b"y" * 16383 + b"\r\n",
    "closed": b"Connection: close\r\n",
    "kept and closed": b"Connection: keep-alive, close\r\n",
    "closed by a proxy": b"Proxy-Connection: close\r\n",
    "an upgrade without Connection": b"Upgrade: h2c\r\n",
    "an upgrade": UPGRADE % b"h2c",
    "an upgrade to websocket": UPGRADE % b"websocket",
    "no coding": b"Transfer-Encoding: identity\r\n",
    "an empty coding": b"Transfer-Encoding:\r\n",
    "a body": THREE,
}

BODIES: dict[str, bytes] = {
    "plain": POST + THREE + b"\r\nabc",
    "empty": POST + b"Content-Length: 0\r\n\r\n",
    "of 60 kB": POST + b"Content-Length: 60000\r\n\r\n" + b"x" * 60_000,
    "too large": POST + b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000,
    "with an empty line behind": POST + THREE + b"\r\nabc\r\n",
    "length with zeros": POST + b"Content-Length: 00003\r\n\r\nabc",
    "length with a space behind": POST + b"Content-Length: 3 \r\n\r\nabc",
    "length with a tab": POST + b"Content-Length:\t3\r\n\r\nabc",
    "length with a vertical tab": POST + b"Content-Length: 3\x0b\r\n\r\nabc",
    "length as a connection option": POST + b"Connection: content-length\r\n" + THREE + b"\r\nabc",
    "an empty coding and a length": POST + b"Transfer-Encoding:\r\n" + THREE + b"\r\nabc",
    "after an unknown expectation": POST + b"Expect: x\r\n" + THREE + b"\r\nabc",
    "after an upgrade": POST + UPGRADE % b"h2c" + THREE + b"\r\nabc",
    "after an upgrade to websocket": POST + UPGRADE % b"websocket" + THREE + b"\r\nabc",
    "chunks after an upgrade": (
        POST + UPGRADE % b"h2c" + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    ),
    "chunks": CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    "Chunked": CHUNKED.replace(b"chunked", b"Chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "chunked and a tab": CHUNKED.replace(b"chunked", b"chunked\t") + b"3\r\nabc\r\n0\r\n\r\n",
    "chunked and a comma": CHUNKED.replace(b"chunked", b"chunked,") + b"3\r\nabc\r\n0\r\n\r\n",
    "a comma and chunked": CHUNKED.replace(b"chunked", b",chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "gzip, chunked": CHUNKED.replace(b"chunked", b"gzip, chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "gzip and chunked": (
        CHUNKED[:-2] + b"Transfer-Encoding: gzip\r\n\r\n" + b"3\r\nabc\r\n0\r\n\r\n"
    ),
    "chunks in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"3\r\nabc\r\n0\r\n\r\n",
    "a size with many zeros": CHUNKED + b"0" * 5000 + b"3\r\nabc\r\n0\r\n\r\n",
    "a trailer": CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    "a trailer for the host": CHUNKED + b"3\r\nabc\r\n0\r\nHost: y\r\n\r\n",
    "a trailer for the length": CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
    "a trailer for the coding": CHUNKED + b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "200 trailers": CHUNKED + b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a trailer over 16 KiB": CHUNKED + b"3\r\nabc\r\n0\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
}

CASES: dict[str, bytes] = {
    **{f"framing: {name}": data for name, data in FRAMING.items()},
    **{f"head: {name}": data for name, data in HEADS.items()},
    **{f"target: {target}": get(target.encode("latin-1")) for target in TARGETS},
    **{f"method: {method.decode()}": get(method, line=b"%b / HTTP/1.1") for method in METHODS},
    **{f"field: {name}": get(fields=HOST + fields) + NEXT for name, fields in FIELDS.items()},
    **{f"body: {name}": data + NEXT for name, data in BODIES.items()},
    "CONNECT": get(b"a:1", line=b"CONNECT %b HTTP/1.1") + b"xx",
    "CONNECT to no host": get(b":a:1", line=b"CONNECT %b HTTP/1.1"),
    "CONNECT with a path": get(b"/a", line=b"CONNECT %b HTTP/1.1"),
    "CONNECT with a body": get(b"a:1", HOST + THREE, line=b"CONNECT %b HTTP/1.1") + b"abc",
    "OPTIONS of all": get(b"*", line=b"OPTIONS %b HTTP/1.1"),
    "HTTP/2.0": get(line=b"GET %b HTTP/2.0"),
    "HTTP/0.9": get(line=b"GET %b HTTP/0.9"),
    "HTTP/0.9 in short": b"GET /\r\n\r\n",
    "HTTP/1.0": get(fields=b"", line=b"GET %b HTTP/1.0") + NEXT,
    "HTTP/1.0, kept": get(fields=b"Connection: keep-alive\r\n", line=b"GET %b HTTP/1.0") + NEXT,
    "no host": get(fields=b"X: y\r\n"),
    "an empty host": get(fields=b"Host:\r\n"),
    "empty lines before": b"\r\n\r\n" + NEXT,
    "a line feed before": b"\n" + NEXT,
    "five ahead": get() * 5,
    "forty bodies ahead": (POST + THREE + b"\r\nabc") * 40,
    "a hundred ahead": get() * 100,
    "nonsense ahead": get() + b"nonsense\r\n\r\n",
}

STRICTER: dict[str, tuple[bytes, str]] = {
    "an extension over 16 KiB": (
        CHUNKED + b"3;" + b"y" * 40_000 + b"\r\nabc\r\n0\r\n\r\n",
        "aiohttp bounds no chunk's extension: framing without body may be sent for ever",
    ),
    "a head over 64 KiB": (
        get(fields=HOST + (b"X: " + b"y" * 16000 + b"\r\n") * 6),
        "aiohttp's server counts what comes while a head is not whole: here it came in one read",
    ),
}
"""What the second server refuses and aiohttp's takes, and why."""

LAXER: dict[str, tuple[bytes, str]] = {
    "the WebSocket of 2010": (
        get(fields=HOST + b"Sec-WebSocket-Key1: b\r\n"),
        "aiohttp refuses the draft's handshake; here that is a field like any other, no upgrade",
    ),
}
"""The other way round, and why that is safe."""

TOKENS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b",", b";", b"\x0b", b"\xff", b"0", b"1", b"3",
    b"-", b"+", b"chunked", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b"\r\n\r\n", b"HTTP/1.0", b"HTTP/1.1", b"/", b"?", b"#",
    b"http://h", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"0\r\n\r\n",
    b"Host: y\r\n", b"Expect: 100-continue\r\n", b" \r\n", b"\r\n ",
]  # fmt: skip
"""What mutations put in."""

SMALL = [data for data in CASES.values() if len(data) <= 600 and b"CONNECT" not in data]
"""What is mutated. CONNECT is served by neither; what an authority may be, they see differently."""
