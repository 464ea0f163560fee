"""POST images/generations, edits and variations: small real PNGs, always as base64."""

import base64
import struct
import zlib
from typing import Any

from proxy.demo import tokens
from proxy.demo.content import CREATED, Content, Request, as_json
from proxy.demo.fields import Fields, parsed, unsupported
from proxy.demo.multipart import Form, form_of, is_form

_SIDE = 16
_MOST_IMAGES = 10
_OUTPUT_TOKENS = 64
"""Declared cost of one image."""


def generations(request: Request) -> Content:
    """Answer with images whose colours come from the prompt."""
    return _drawn(parsed(request))


def edits(request: Request) -> Content:
    """Answer an edit or a variation: a form with an image, or JSON that refers to one."""
    if not is_form(request):
        return _drawn(parsed(request))
    form = form_of(request)
    form.file("image", "image[]")
    return _drawn(_as_fields(form), needs_prompt=request.path.endswith("edits"))


def png(red: int, green: int, blue: int) -> bytes:
    """A square PNG that fades from black to a colour."""
    shades = [(x + 1) / _SIDE for x in range(_SIDE)]
    row = b"\0" + b"".join(bytes((int(red * s), int(green * s), int(blue * s))) for s in shades)
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    body = zlib.compress(row * _SIDE, 9)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _drawn(body: Fields, *, needs_prompt: bool = True) -> Content:
    prompt = body.text("prompt") if needs_prompt else body.text_or("prompt", "")
    if body.flag("stream"):
        raise unsupported("stream", "true", "images that are not streamed")
    count = body.whole("n", 1, _MOST_IMAGES) or 1
    seed = prompt.encode("utf-8", "replace")
    data: list[dict[str, Any]] = []
    for place in range(count):
        colour = zlib.crc32(seed + bytes([place]))
        image = png(colour & 255, colour >> 8 & 255, colour >> 16 & 255)
        data.append({"b64_json": base64.b64encode(image).decode()})
    read, drawn = tokens.count(prompt), count * _OUTPUT_TOKENS
    usage = {
        "input_tokens": read,
        "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
        "output_tokens": drawn,
        "total_tokens": read + drawn,
    }
    return as_json({"created": CREATED, "data": data, "output_format": "png", "usage": usage})


def _as_fields(form: Form) -> Fields:
    """The fields of a form with the types that JSON would have given them."""
    values: dict[str, Any] = dict(form.fields)
    count = values.get("n", "")
    if count.isascii() and count.isdecimal() and len(count) < 10:
        values["n"] = int(count)
    if "stream" in values:
        values["stream"] = values["stream"] == "true"
    return Fields(values)
