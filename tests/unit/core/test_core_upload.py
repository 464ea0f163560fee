"""Uploads: bytes pass as they come; a form waits for its model, which may be replaced."""

from collections.abc import AsyncIterator, Sequence

import pytest

from proxy.base.errors import BadRequest
from proxy.core import upload as upload_module
from proxy.core.upload import FormUpload, StreamUpload


async def arriving(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def taken(upload: StreamUpload | FormUpload) -> bytes:
    return b"".join([piece async for piece in upload])


def part(name: str, value: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
        name.encode(),
        value,
    )


END = b"--b--\r\n"
MODEL = part("model", b"whisper-1")


def form_of(*pieces: bytes, length: bool = True) -> FormUpload:
    return FormUpload(arriving(pieces), sum(map(len, pieces)) if length else None, b"b")


async def test_a_stream_is_sent_on_and_knows_that_it_began() -> None:
    upload = StreamUpload(arriving([b"a", b"", b"b"]), 2)
    assert not upload.started
    assert await taken(upload) == b"ab"
    assert upload.started
    assert upload.length == 2


@pytest.mark.parametrize("file", [b"RIFF" * 10, b"R" * 100_000], ids=["in memory", "on disk"])
@pytest.mark.parametrize("order", ["model first", "model last"])
@pytest.mark.parametrize("new", [None, "whisper-1", "w", "a-much-longer-name"])
async def test_only_the_model_changes(
    file: bytes, order: str, new: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "_IN_MEMORY", 1000)
    monkeypatch.setattr(upload_module, "_PIECE", 64)
    parts = [MODEL, part("file", file)]
    whole = b"".join(parts if order == "model first" else reversed(parts)) + END
    pieces = [whole[at : at + 999] for at in range(0, len(whole), 999)]
    form = form_of(*pieces)
    assert await form.find_model() == "whisper-1"
    assert not form.started
    if new is not None:
        form.replace_model(new)
    wanted = whole.replace(b"whisper-1", (new or "whisper-1").encode())
    assert form.length == len(wanted)
    assert await taken(form) == wanted
    assert form.started
    form.close()
    form.close()


async def test_a_length_that_is_not_known_stays_unknown() -> None:
    form = form_of(MODEL, END, length=False)
    await form.find_model()
    form.replace_model("x")
    assert form.length is None
    form.close()


async def test_a_form_without_a_model_passes_as_it_is() -> None:
    whole = part("file", b"RIFF") + END
    form = form_of(whole[:30], whole[30:])
    assert await form.find_model() is None
    assert await taken(form) == whole


async def test_a_model_cannot_be_replaced_where_there_is_none() -> None:
    form = form_of(part("file", b"RIFF") + END)
    await form.find_model()
    with pytest.raises(BadRequest, match="no `model` part"):
        form.replace_model("x")
    form.close()


async def test_a_second_model_is_refused_while_it_passes() -> None:
    form = form_of(MODEL + b"--", b"b", MODEL[3:], END)
    assert await form.find_model() == "whisper-1"
    with pytest.raises(BadRequest, match="given twice"):
        await taken(form)
    form.close()


async def test_a_target_that_is_tried_second_replaces_again() -> None:
    whole = MODEL + END
    form = form_of(whole)
    await form.find_model()
    form.replace_model("first")
    form.replace_model("second")
    assert await taken(form) == whole.replace(b"whisper-1", b"second")


async def test_the_old_name_again_undoes_the_change() -> None:
    whole = MODEL + END
    form = form_of(whole)
    await form.find_model()
    form.replace_model("first")
    form.replace_model("whisper-1")
    assert await taken(form) == whole
