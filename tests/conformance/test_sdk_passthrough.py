"""Everything else of OpenAI's API: what the SDK sends reaches the vendor byte for byte, and what
the vendor answers comes back byte for byte."""

from typing import Any

import pytest

from tests.conformance.judge import Call, Judge, arrived
from tests.fakes.vendor import Reply, Vendor

FILE = ("data.jsonl", b'{"a":1}\r\n--not-a-boundary\r\n\x00\xff' * 20_000)
ANSWER = b'{ "id":"x_1", "object":"thing" ,"data":[],"n":1.50,"has_more":false, "deleted":true }\n'
OLD = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # The SDK's own.

CALLS: dict[str, Call] = {
    "files.create": lambda c: c.files.create(file=FILE, purpose="batch"),
    "files.list": lambda c: c.files.list(
        limit=3, after="file-\u00e9&x", extra_query={"q": "a b+c"}
    ),
    "files.retrieve": lambda c: c.files.retrieve("file-1"),
    "files.delete": lambda c: c.files.delete("file-1"),
    "uploads.create": lambda c: c.uploads.create(
        bytes=7, filename="a", mime_type="text/plain", purpose="batch"
    ),
    "uploads.parts.create": lambda c: c.uploads.parts.create("up_1", data=FILE),
    "uploads.complete": lambda c: c.uploads.complete("up_1", part_ids=["p1"]),
    "uploads.cancel": lambda c: c.uploads.cancel("up_1"),
    "batches.create": lambda c: c.batches.create(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id="file-1"
    ),
    "batches.retrieve": lambda c: c.batches.retrieve("batch_1"),
    "batches.cancel": lambda c: c.batches.cancel("batch_1"),
    "batches.list": lambda c: c.batches.list(limit=1),
    "fine_tuning.jobs.create": lambda c: c.fine_tuning.jobs.create(
        model="gpt-4o-mini", training_file="file-1"
    ),
    "fine_tuning.jobs.list_events": lambda c: c.fine_tuning.jobs.list_events("ft_1", limit=2),
    "fine_tuning.jobs.pause": lambda c: c.fine_tuning.jobs.pause("ft_1"),
    "vector_stores.create": lambda c: c.vector_stores.create(name="caf\u00e9"),
    "vector_stores.update": lambda c: c.vector_stores.update("vs_1", name="b"),
    "vector_stores.search": lambda c: c.vector_stores.search("vs_1", query="why?"),
    "vector_stores.delete": lambda c: c.vector_stores.delete("vs_1"),
    "vector_stores.files.create": lambda c: c.vector_stores.files.create("vs_1", file_id="f"),
    "vector_stores.files.content": lambda c: c.vector_stores.files.content(
        "f", vector_store_id="vs_1"
    ),
    "conversations.create": lambda c: c.conversations.create(metadata={"a": "b"}),
    "conversations.items.list": lambda c: c.conversations.items.list("conv_1", limit=5),
    "conversations.delete": lambda c: c.conversations.delete("conv_1"),
    "responses.retrieve": lambda c: c.responses.retrieve("resp_1"),
    "responses.cancel": lambda c: c.responses.cancel("resp_1"),
    "responses.delete": lambda c: c.responses.delete("resp_1"),
    "responses.input_items.list": lambda c: c.responses.input_items.list("resp_1"),
    "chat.completions.list": lambda c: c.chat.completions.list(model="gpt-4o-mini"),
    "chat.completions.retrieve": lambda c: c.chat.completions.retrieve("chatcmpl-1"),
    "chat.completions.delete": lambda c: c.chat.completions.delete("chatcmpl-1"),
    "models.delete": lambda c: c.models.delete("ft:gpt-4o:mine"),
    "evals.list": lambda c: c.evals.list(limit=1),
    "evals.runs.retrieve": lambda c: c.evals.runs.retrieve("run_1", eval_id="eval_1"),
    "containers.create": lambda c: c.containers.create(name="box"),
    "containers.files.create": lambda c: c.containers.files.create("cntr_1", file=FILE),
    "videos.create": lambda c: c.videos.create(
        prompt="a cat", model="sora-2", input_reference=FILE
    ),
    "videos.list": lambda c: c.videos.list(limit=1),
    "realtime.client_secrets": lambda c: c.realtime.client_secrets.create(),
    "beta.threads.create": lambda c: c.beta.threads.create(metadata={"k": "v"}),
    "beta.assistants.list": lambda c: c.beta.assistants.list(limit=1),
    "an empty body": lambda c: c.post("/anything/new", cast_to=object),
    "a body of bytes": lambda c: c.post(
        "/anything/new",
        content=FILE[1],
        cast_to=object,
        options={"headers": {"content-type": "x/y"}},
    ),
    "put": lambda c: c.put("/anything", body={"z": 1, "a": 2.50}, cast_to=object),
    "patch": lambda c: c.patch("/anything", body={}, cast_to=object),
}


@OLD
@pytest.mark.parametrize("name", CALLS)
async def test_what_the_sdk_sends_arrives(judge: Judge, vendor: Vendor, name: str) -> None:
    fields = [("content-type", "application/json")]
    vendor.always(Reply(headers=fields, body=ANSWER))
    await judge.ask(CALLS[name])
    assert [arrived(request) for request in vendor.requests] == judge.sent
    assert len(judge.sent) == 1


RAW: dict[str, Call] = {
    "a list": lambda c: c.files.with_raw_response.list(),
    "an object": lambda c: c.vector_stores.with_raw_response.retrieve("vs_1"),
    "a new object": lambda c: c.batches.with_raw_response.create(
        completion_window="24h", endpoint="/v1/responses", input_file_id="f"
    ),
    "a deleted one": lambda c: c.files.with_raw_response.delete("f"),
}


@pytest.mark.parametrize("name", RAW)
async def test_what_the_vendor_answers_comes_back(judge: Judge, vendor: Vendor, name: str) -> None:
    vendor.say(headers=[("content-type", "application/json"), ("x-more", "1")], body=ANSWER)
    raw: Any = await judge.ask(RAW[name])
    assert (raw.status_code, raw.content, raw.headers["x-more"]) == (200, ANSWER, "1")


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_the_content_of_a_file_is_binary(judge: Judge, vendor: Vendor, framing: str) -> None:
    fields = [("content-type", "application/octet-stream"), ("content-disposition", "attachment")]
    pieces = [FILE[1][:1], FILE[1][1:5000], FILE[1][5000:]]
    vendor.say(headers=fields, chunks=pieces, framing=framing)
    content = await judge.ask(lambda c: c.files.content("file-1"))
    assert content.content == FILE[1]
    assert content.response.headers["content-disposition"] == "attachment"
    assert vendor.requests[0].target == "/v1/files/file-1/content"


async def test_pages_lead_on(judge: Judge, vendor: Vendor) -> None:
    vendor.say(body=b'{"object":"list","data":[{"id":"f1"},{"id":"f2"}],"has_more":true}')
    vendor.say(body=b'{"object":"list","data":[{"id":"f3"}],"has_more":false}')
    files = await judge.all(_pages)
    assert [file.id for file in files] == ["f1", "f2", "f3"]
    assert [request.target for request in vendor.requests] == [
        "/v1/files?limit=2",
        "/v1/files?limit=2&after=f2",
    ]


def _pages(client: Any) -> Any:
    return client.files.list(limit=2)


@OLD
async def test_a_streamed_run_of_an_assistant_passes(judge: Judge, vendor: Vendor) -> None:
    events = [
        b'event: thread.run.created\ndata: {"id":"run_1","object":"thread.run"}\n\n',
        b'event: thread.run.completed\ndata: {"id":"run_1","object":"thread.run"}\n\n',
        b"event: done\ndata: [DONE]\n\n",
    ]
    vendor.say(headers=[("content-type", "text/event-stream")], chunks=events)
    seen = await judge.all(
        lambda c: c.beta.threads.runs.create("thread_1", assistant_id="asst_1", stream=True)
    )
    assert [event.event for event in seen] == ["thread.run.created", "thread.run.completed"]


async def test_models_are_answered_here(judge: Judge, vendor: Vendor) -> None:
    models = await judge.all(lambda c: c.models.list())
    assert [model.id for model in models] == ["gpt-4o-mini", "renamed", "demo"]
    one = await judge.ask(lambda c: c.models.retrieve("renamed"))
    assert (one.id, one.object) == ("renamed", "model")
    assert vendor.calls == 0
