"""Requests that no honest client sends: broken framing, heads, paths, bodies, codings and forms.

Data only; `test_bad_http.py` and `test_bad_bodies.py` say what must become of them.
"""

import gzip
import zlib

from tests.adversity.expect import MB, SMALL

START = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-everything\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SMALL)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"17\r\n" + SMALL + b"\r\n0\r\n\r\n"
NEXT = b"GET /v1/files/smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-everything\r\n\r\n"
MAX_BODY = MB

FRAMING: dict[str, bytes] = {
    "both framings": START + LENGTH + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    "both framings, the other way": START + CHUNKED + LENGTH + b"\r\n" + CHUNKS + NEXT,
    "two lengths, equal": START + LENGTH + LENGTH + b"\r\n" + SMALL + NEXT,
    "two lengths, different": START + LENGTH + b"Content-Length: 1\r\n\r\n" + SMALL + NEXT,
    "two lengths in one field": START + b"Content-Length: 23, 23\r\n\r\n" + SMALL + NEXT,
    "a negative length": START + b"Content-Length: -1\r\n\r\n" + SMALL,
    "a signed length": START + b"Content-Length: +23\r\n\r\n" + SMALL,
    "a length in words": START + b"Content-Length: many\r\n\r\n" + SMALL,
    "an endless length": START + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + SMALL,
    "an empty length": START + b"Content-Length:\r\n\r\n" + SMALL,
    "a length in hex": START + b"Content-Length: 0x17\r\n\r\n" + SMALL,
    "a length with _": START + b"Content-Length: 2_3\r\n\r\n" + SMALL,
    "an unknown coding": START + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNKS,
    "a second coding": START + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "chunked twice": START + CHUNKED + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    "a disguised coding": START + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "a coding with \x0b": START + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "chunks in HTTP/1.0": START.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    "a chunk size in words": START + CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": START + CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with 0x": START + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with spaces": START + CHUNKED + b"\r\n 2\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": START + CHUNKED + b"\r\n" + b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that is too long": START + CHUNKED + b"\r\n2\r\n{}xx\r\n0\r\n\r\n",
    "a bare LF after a size": START + CHUNKED + b"\r\n17\n" + SMALL + b"\r\n0\r\n\r\n" + NEXT,
    "a chunk extension with LF": START + CHUNKED + b"\r\n17;a\nb\r\n" + SMALL + b"\r\n0\r\n\r\n",
}

GET = b"GET /v1/models HTTP/1.1\r\n"
KEY = b"Host: x\r\nAuthorization: Bearer sk-everything\r\n"
HEADS: dict[str, bytes] = {
    "a bare LF": b"GET /v1/models HTTP/1.1\nHost: x\n\n",
    "a bare CR": GET + b"Host: x\rX: y\r\n\r\n",
    "a folded field": GET + KEY + b"X-A: b\r\n c\r\n\r\n",
    "a space before the colon": GET + KEY + b"X-A : b\r\n\r\n",
    "a space before the first field": GET + b" X: y\r\n" + KEY + b"\r\n",
    "a field without a colon": GET + KEY + b"nonsense\r\n\r\n",
    "a field without a name": GET + KEY + b": nonsense\r\n\r\n",
    "a name with (": GET + KEY + b"X(A: b\r\n\r\n",
    "a NUL in a value": GET + KEY + b"X-A: b\x00c\r\n\r\n",
    "a NUL in a name": GET + KEY + b"X\x00A: b\r\n\r\n",
    "a field over 16 KiB": GET + KEY + b"X-A: " + b"b" * 20_000 + b"\r\n\r\n",
    "a field name over 16 KiB": GET + KEY + b"X" * 20_000 + b": b\r\n\r\n",
    "1000 fields": GET + KEY + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    "a target over 16 KiB": b"GET /v1/models?" + b"a" * 20_000 + b" HTTP/1.1\r\n" + KEY + b"\r\n",
    "a bad method": b"G(T /v1/models HTTP/1.1\r\n" + KEY + b"\r\n",
    "no method": b" /v1/models HTTP/1.1\r\n" + KEY + b"\r\n",
    "no version": b"GET /v1/models\r\n\r\n",
    "a version of the future": b"GET /v1/models HTTP/3.7\r\n" + KEY + b"\r\n",
    "a bad version": b"GET /v1/models HTTP/x\r\n" + KEY + b"\r\n",
    "another protocol": b"GET /v1/models FTP/1.1\r\n" + KEY + b"\r\n",
    "a space in the target": b"GET /v1/mod els HTTP/1.1\r\n" + KEY + b"\r\n",
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "a TLS hello": bytes.fromhex("16030100c2010000be0303") + bytes(range(184)),
    "a TLS 1.0 hello with LF": b"\x16\x03\x01\x00\x05\x01\r\n\r\n",
    "a SOCKS greeting": b"\x05\x01\x00\r\n\r\n",
    "nothing but line ends": b"\r\n" * 20_000 + b"x\r\n\r\n",
}

PATHS = [
    "/v1/files/../admin",
    "/v1/files/%2e%2e/admin",
    "/v1/files/%2E./x",
    "/v1/./files",
    "/v1/files/..",
    "/v1/files/..%2fadmin",
    "/v1/files\\..\\admin",
    "/v1/files/%5c..%5cx",
    "/v1//files",
    "/v1/files/%00",
    "/v1/files/\xe9",
    "http://other.test/v1/files/../x",
]

BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_json"),
    "white space": (b" \r\n", "invalid_json"),
    "an array": (b"[" + SMALL + b"]", "invalid_json"),
    "a string": (b'"model"', "invalid_json"),
    "null": (b"null", "invalid_json"),
    "not JSON": (b"model=gpt-4o-mini", "invalid_json"),
    "cut off": (SMALL[:-1], "invalid_json"),
    "two objects": (SMALL * 2, "invalid_json"),
    "a trailing comma": (SMALL[:-1] + b",}", "invalid_json"),
    "a comment": (SMALL + b"// x", "invalid_json"),
    "NaN": (SMALL[:-1] + b',"n":NaN}', "invalid_json"),
    "100k arrays": (SMALL[:-1] + b',"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
    "100k objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "invalid_json"),
    "100k open arrays": (b"[" * 100_000, "invalid_json"),
    "invalid UTF-8": (SMALL[:-1] + b',"n":"\xff"}', "invalid_json"),
    "a surrogate in UTF-8": (SMALL[:-1] + b',"n":"\xed\xa0\x80"}', "invalid_json"),
    "UTF-16": (SMALL.decode().encode("utf-16"), "invalid_json"),
    "a NUL": (SMALL[:-1] + b',"n":"a\x00b"}', "invalid_json"),
    "a NUL behind": (SMALL + b"\x00", "invalid_json"),
    "a line feed in a string": (SMALL[:-1] + b',"n":"a\nb"}', "invalid_json"),
    "model twice": (b'{"model":"gpt-4o-mini","model":"renamed"}', "duplicate_field"),
    "model twice, escaped": (b'{"model":"gpt-4o-mini","mod\\u0065l":"renamed"}', "duplicate_field"),
    "stream twice": (SMALL[:-1] + b',"stream":true,"stream":false}', "duplicate_field"),
    "a number as model": (b'{"model":1}', "invalid_type"),
    "an array as model": (b'{"model":["gpt-4o-mini"]}', "invalid_type"),
    "a string as stream": (SMALL[:-1] + b',"stream":"true"}', "invalid_type"),
    "a number as stream": (SMALL[:-1] + b',"stream":1}', "invalid_type"),
    "an array as options": (SMALL[:-1] + b',"stream":true,"stream_options":[]}', "invalid_type"),
}

BOMB = gzip.compress(b'{"model":"' + b"x" * 20 * MAX_BODY + b'"}')
PACKED: dict[str, tuple[bytes, str, int]] = {
    "a bomb": (BOMB, "gzip", 413),
    "a zlib bomb": (zlib.compress(b" " * 20 * MAX_BODY), "deflate", 413),
    "cut off": (gzip.compress(SMALL)[:-9], "gzip", 400),
    "not gzip": (SMALL, "gzip", 400),
    "a broken checksum": (gzip.compress(SMALL)[:-8] + bytes(8), "gzip", 400),
    "nothing": (b"", "gzip", 400),
    "an unknown coding": (SMALL, "br2", 415),
    "two codings": (gzip.compress(gzip.compress(SMALL)), "gzip, gzip", 415),
}

FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", b"--x--\r\n"),
    "a head without end": ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 5000),
    "two models": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o-mini\r\n' * 2
        + b"--x--",
    ),
    "a long model": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"m" * 9000 + b"\r\n--x--",
    ),
    "a model in bad UTF-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\r\n--x--\r\n',
    ),
}
