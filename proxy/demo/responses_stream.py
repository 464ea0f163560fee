"""A finished response told as events, in the order in which OpenAI tells it.

created, in_progress, output_item.added, then for a message content_part.added, output_text.delta …,
output_text.done, content_part.done, or for a call function_call_arguments.delta …, .done; then
output_item.done and completed (or incomplete). Every event has the next sequence number.
"""

from collections.abc import Iterator
from typing import Any

from proxy.demo.content import named_event
from proxy.demo.tokens import pieces


def events(final: dict[str, Any]) -> Iterator[bytes]:
    """The events whose last one carries `final`."""
    for number, event in enumerate(_told(final)):
        kind = event.pop("type")
        yield named_event({"type": f"response.{kind}", "sequence_number": number, **event})


def _told(final: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = final | {
        "status": "in_progress",
        "output": [],
        "usage": None,
        "incomplete_details": None,
        "completed_at": None,
    }
    yield {"type": "created", "response": begun}
    yield {"type": "in_progress", "response": begun}
    for place, item in enumerate(final["output"]):
        spoken = item["type"] == "message"
        empty: dict[str, Any] = {"content": []} if spoken else {"arguments": ""}
        bare = item | {"status": "in_progress"} | empty
        yield {"type": "output_item.added", "output_index": place, "item": bare}
        yield from _message(item, place) if spoken else _call(item, place)
        yield {"type": "output_item.done", "output_index": place, "item": item}
    yield {"type": final["status"], "response": final}


def _message(item: dict[str, Any], place: int) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(item["content"]):
        where = {"item_id": item["id"], "output_index": place, "content_index": index}
        yield {"type": "content_part.added", **where, "part": part | {"text": ""}}
        for piece in pieces(part["text"]):
            yield {"type": "output_text.delta", **where, "delta": piece, "logprobs": []}
        yield {"type": "output_text.done", **where, "text": part["text"], "logprobs": []}
        yield {"type": "content_part.done", **where, "part": part}


def _call(item: dict[str, Any], place: int) -> Iterator[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": place}
    for piece in pieces(item["arguments"]):
        yield {"type": "function_call_arguments.delta", **where, "delta": piece}
    yield {
        "type": "function_call_arguments.done",
        **where,
        "name": item["name"],
        "arguments": item["arguments"],
    }
