"""What is read from a request as the most that it may use."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.base.errors import BadRequest
from proxy.core.exchange import Exchange
from proxy.core.gate import Need
from proxy.core.upload import FormUpload, StreamUpload
from proxy.limits.need import _is_typed, need_of
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import simple
from tests.fakes.wire import FakeTransport

ROUND = 64
MESSAGES = [{"role": "user", "content": "hi"}]


def exchange(path: str, raw: bytes, model: str = "m") -> Exchange:
    x = simple(FakeTransport(), FakeIncoming(raw, path))
    x.model = model
    return x


def need(path: str = "/chat/completions", model: str = "m", **fields: Any) -> Need:
    if path == "/chat/completions":
        fields = {"messages": MESSAGES, **fields}
    raw = jsonio.dumps({"model": model, **fields})
    x = exchange(path, raw, model)
    x.body = Body(raw)
    return need_of(x)


def size(path: str = "/chat/completions", **fields: Any) -> int:
    return need(path, **fields).input


def test_text_is_its_length() -> None:
    raw = jsonio.dumps({"model": "m", "messages": MESSAGES, "max_tokens": 7})
    assert need(max_tokens=7) == Need(len(raw) + ROUND, 0, False, 7, 0, 1, 0, 0, 0, 1, "")


@pytest.mark.parametrize(
    ("path", "fields", "output"),
    [
        ("/chat/completions", {}, None),
        ("/chat/completions", {"max_tokens": None}, None),
        ("/chat/completions", {"max_tokens": 5, "max_completion_tokens": 9}, 9),
        ("/chat/completions", {"max_tokens": 5, "n": 3}, 15),
        ("/chat/completions", {"max_output_tokens": 5}, None),
        ("/completions", {"max_tokens": 5, "best_of": 4, "n": 2}, 20),
        ("/completions", {"max_tokens": 5, "prompt": "one"}, 5),
        ("/completions", {"max_tokens": 5, "prompt": ["a", "b", "c"], "n": 2}, 30),
        ("/completions", {"max_tokens": 5, "prompt": [1, 2, 3]}, 5),
        ("/completions", {"max_tokens": 5, "prompt": [[1], [2, 3]]}, 10),
        ("/completions", {"max_tokens": 5, "prompt": []}, 5),
        ("/completions", {"max_completion_tokens": 5}, None),
        ("/responses", {"max_output_tokens": 5, "input": "x"}, 5),
        ("/responses", {"max_tokens": 5, "input": "x"}, None),
        ("/embeddings", {"input": "x"}, 0),
        ("/moderations", {"input": "x"}, 0),
        ("/images/generations", {"prompt": "x", "n": 4}, 4 * 8192),
    ],
)
def test_output(path: str, fields: dict[str, Any], output: int | None) -> None:
    assert need(path, **fields).output == output


def test_speech_is_bounded_by_its_text() -> None:
    spoken = need("/audio/speech", input="say this", voice="alloy")
    assert spoken.output == 4 * spoken.input


def test_a_prediction_that_is_not_taken_is_paid() -> None:
    prediction = {"type": "content", "content": "x" * 500}
    predicted = need(max_tokens=5, prediction=prediction, n=2).predicted
    assert predicted == 2 * len(jsonio.dumps(prediction))


class TestPictures:
    """Counted, their bytes not."""

    def test_a_picture_is_no_text(self) -> None:
        data = "data:image/png;base64," + "A" * 10_000
        parts = [
            {"type": "image_url", "image_url": {"url": data}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ]
        found = need(messages=[{"role": "user", "content": parts}])
        assert found.pictures == 2
        assert found.input < 500

    def test_of_responses_too(self) -> None:
        part = {"type": "input_image", "image_url": "data:image/jpeg;base64,AAAA" * 50}
        found = need("/responses", input=[{"role": "user", "content": [part]}])
        assert (found.pictures, found.input < 500) == (1, True)

    def test_a_text_that_speaks_of_pictures_is_text(self) -> None:
        text = '{"image_url": {"url": "data:image/png;base64,' + "A" * 10_000
        found = need(messages=[{"role": "user", "content": text}])
        assert found.input > 10_000

    def test_an_escaped_name_is_a_name(self) -> None:
        raw = jsonio.dumps(
            {"content": [{"type": "image_url", "image_url": {"url": "https://example.com/a"}}]}
        ).replace(b"image_url", rb"image\u005furl")
        x = exchange("/chat/completions", raw)
        x.body = Body(raw)
        assert need_of(x).pictures == 1


class TestEndless:
    """What only the vendor knows."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"previous_response_id": "resp_1"},
            {"conversation": "conv_1"},
            {"prompt": {"id": "p"}},
            {"tools": [{"type": "web_search_preview"}]},
            {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
            {"tools": [{"type": "mcp", "server_url": "https://example.com"}]},
            {"input": [{"type": "input_file", "file_id": "file-1"}]},
            {"input": [{"type": "item_reference", "id": "1"}]},
        ],
    )
    def test_of_responses(self, fields: dict[str, Any]) -> None:
        assert need("/responses", **{"input": "x", **fields}).endless

    def test_searching(self) -> None:
        found = need(web_search_options={})
        assert (found.endless, found.searches) == (True, 10)
        assert need(model="sonar-pro").searches == 10
        assert not need(messages=[{"role": "user", "content": '"web_search"'}]).endless
        raw = b'{"messages":[],"web\\u005fsearch_options":{}}'
        x = exchange("/chat/completions", raw)
        x.body = Body(raw)
        assert need_of(x).searches == 10

    def test_plain(self) -> None:
        assert not need().endless
        assert not need("/responses", input="x").endless
        assert not need("/embeddings", input='"file_id"').endless


def test_rerankers_bill_by_the_hundred() -> None:
    assert need("/rerank", query="q", documents=["d"] * 99).calls == 2
    assert need("/rerank", query="q", documents=["d"] * 500).calls == 6
    assert need("/rerank", query="q", documents=["d"] * 20).calls == 1
    long = need("/rerank", query="q", documents=["x" * 25_000]).calls
    assert long == 2


def test_tier() -> None:
    assert need(service_tier="priority").tier == "priority"
    assert need(service_tier=None).tier == ""


@pytest.mark.parametrize("raw", [b'{"n":129}', b'{"max_tokens":10000001}', b'{"service_tier":1}'])
def test_what_is_no_number_or_word_is_refused(raw: bytes) -> None:
    x = exchange("/chat/completions", raw)
    x.body = Body(raw)
    with pytest.raises(BadRequest):
        need_of(x)


class TestForms:
    """Passed on as they come, so their length is all that is known."""

    def test_sound(self) -> None:
        x = exchange("/audio/transcriptions", b"")
        x.body = form = FormUpload(x.incoming.chunks(1), 750_000, b"b")
        found = need_of(x)
        form.close()
        assert (found.seconds, found.images, found.endless) == (1000, 0, False)
        assert found.input == found.output == 750_000 // 64 + ROUND

    def test_pictures(self) -> None:
        x = exchange("/images/edits", b"")
        x.body = form = FormUpload(x.incoming.chunks(1), 1000, b"b")
        found = need_of(x)
        form.close()
        assert (found.images, found.pictures, found.output) == (10, 16, 10 * 8192)

    def test_of_unknown_length(self) -> None:
        x = exchange("/audio/transcriptions", b"")
        x.body = StreamUpload(x.incoming.chunks(1), None)
        assert need_of(x).seconds == -(-x.runtime.max_body // 750)

    def test_without_a_body(self) -> None:
        assert need_of(exchange("/files", b"")).seconds == 0


@given(
    st.lists(
        st.sampled_from([b'"', b"type", b'"type"', b'"typ', b"x" * 99, b"x" * 3000, b"{", b"e"])
    ),
    st.booleans(),
)
def test_whether_anything_has_a_type_is_found_in_long_texts_as_in_short_ones(
    parts: list[bytes], long: bool
) -> None:
    raw = b"".join(parts)
    text = b"y" * 9000 * long + raw
    assert _is_typed(text) == (b'"type"' in raw)
    assert _is_typed(b'"a" ' * 4000 + raw) == (b'"type"' in raw)
