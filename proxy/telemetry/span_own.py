"""What one span says alone: the id of its request, what the caller called it, numbers, and what was
said where the record has it. `span_attributes.py` has the rest.

Numbers that were never measured are left out, not zero; money is an exact integer beside the float.
Written to bytes at once: this runs for every request.
"""

from collections.abc import Collection
from typing import Final

from proxy.base import jsonio
from proxy.telemetry.attributes import Value
from proxy.telemetry.conventions import GEN_AI_OPERATIONS
from proxy.telemetry.messages import input_messages, output_messages, system_instructions
from proxy.telemetry.otlp_bytes import attribute, attributes, int64, utf8
from proxy.telemetry.span_names import (
    COMPLETION,
    COST_COMPLETION,
    COST_PROMPT,
    COST_TOTAL,
    FIRST_CHUNK,
    FIRST_TOKEN,
    ID,
    INPUT,
    METADATA,
    NANO_USD,
    OUTPUT,
    OVERHEAD,
    PROMPT,
    SIZE_IN,
    SIZE_OUT,
    TOTAL,
    USD,
)
from proxy.wire.record import AttemptRecord, Content, Cost, Usage, UsageRecord

NANO: Final = 1e9
MICRO: Final = 1e6
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"

Common = tuple[bytes, bytes, bytes]
"""What all spans of a record say, encoded once: its id, its context for OpenInference, and what the
request cost, which often is what its only attempt did."""


class Own:
    """Encodes it. `names`: gen_ai, openinference, or both."""

    def __init__(self, names: Collection[str]) -> None:
        self._gen_ai = "gen_ai" in names
        self._openinference = "openinference" in names

    def common(self, record: UsageRecord) -> Common:
        """To be given to the others."""
        return (
            ID.text(utf8(record.id)),
            _context(record) if self._openinference else b"",
            _money(record.cost) if record.cost is not None else b"",
        )

    def of_request(self, told: list[bytes], record: UsageRecord, common: Common) -> None:
        """Add what the SERVER span says."""
        name, context, money = common
        told += (name, money)
        if record.bytes_in:
            told.append(SIZE_IN.whole(int64(record.bytes_in)))
        if record.bytes_out:
            told.append(SIZE_OUT.whole(int64(record.bytes_out)))
        if record.first_token is not None:
            told.append(FIRST_TOKEN.real(record.first_token / MICRO))
        if record.overhead is not None:
            told.append(OVERHEAD.real(record.overhead / MICRO))
        if record.customer or record.agent or record.session is not None or record.tags:
            told.append(_labels(record))
        if self._openinference and record.content is not None:
            told.append(attributes(_values(record.content)))
        told.append(context)

    def of_attempt(
        self,
        told: list[bytes],
        record: UsageRecord,
        attempt: AttemptRecord,
        common: Common,
        content: Content | None,
    ) -> None:
        """Add what a CLIENT span says."""
        cost = attempt.cost
        name, context, money = common
        told.append(name)
        if cost is not None:
            told.append(money if cost.total == record.cost else _money(cost.total))
        if record.operation in GEN_AI_OPERATIONS:
            self._add_answer(told, record, attempt, content)
            told.append(context)

    def _add_answer(
        self,
        told: list[bytes],
        record: UsageRecord,
        attempt: AttemptRecord,
        content: Content | None,
    ) -> None:
        usage, cost = attempt.usage, attempt.cost
        if self._gen_ai:
            if record.stream and attempt.first_byte is not None:
                told.append(FIRST_CHUNK.real((attempt.first_byte - attempt.started) / MICRO))
            if record.session is not None:
                told.append(attribute("gen_ai.conversation.id", record.session))
        if self._openinference and cost is not None:
            _add_costs(told, cost)
        if usage is not None:
            self._add_usage(told, usage)
        if content is not None:
            told.append(self._said(content))

    def _add_usage(self, told: list[bytes], usage: Usage) -> None:
        told_input, told_output = int64(usage.input), int64(usage.output)
        if self._gen_ai:
            told += (INPUT.whole(told_input), OUTPUT.whole(told_output))
        if self._openinference:
            total = int64(usage.input + usage.output)
            told += (
                PROMPT.whole(told_input),
                COMPLETION.whole(told_output),
                TOTAL.whole(total),
            )
        if (
            usage.cached_read
            or usage.cache_write
            or usage.reasoning
            or usage.audio_in
            or usage.audio_out
        ):
            told.append(self._details(usage))

    def _details(self, usage: Usage) -> bytes:
        found: dict[str, Value] = {}
        if self._gen_ai:
            found |= {
                "gen_ai.usage.cache_read.input_tokens": usage.cached_read or None,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write or None,
                "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
                "gen_ai.usage.audio.input_tokens": usage.audio_in or None,
                "gen_ai.usage.audio.output_tokens": usage.audio_out or None,
            }
        if self._openinference:
            found |= {
                "llm.token_count.prompt_details.cache_read": usage.cached_read or None,
                "llm.token_count.prompt_details.cache_write": usage.cache_write or None,
                "llm.token_count.prompt_details.audio": usage.audio_in or None,
                "llm.token_count.completion_details.reasoning": usage.reasoning or None,
                "llm.token_count.completion_details.audio": usage.audio_out or None,
            }
        return attributes(found)

    def _said(self, content: Content) -> bytes:
        found: dict[str, Value] = {}
        if self._gen_ai:
            if content.input:
                found["gen_ai.system_instructions"] = system_instructions(content.input)
                found["gen_ai.input.messages"] = input_messages(content.input)
            if content.output:
                found["gen_ai.output.messages"] = output_messages(content.output)
        if self._openinference:
            found |= _values(content)
        return attributes(found)


def _labels(record: UsageRecord) -> bytes:
    found: dict[str, Value] = {
        "llm_proxy.customer": record.customer,
        "llm_proxy.agent": record.agent,
        "llm_proxy.session": record.session,
        "llm_proxy.tags": record.tags,
    }
    return attributes(found)


def _money(nano: int) -> bytes:
    return NANO_USD.whole(int64(nano)) + USD.real(nano / NANO)


def _add_costs(told: list[bytes], cost: Cost) -> None:
    completion = cost.output + cost.reasoning + cost.audio_out + cost.images
    told += (
        COST_PROMPT.real((cost.total - completion) / NANO),
        COST_COMPLETION.real(completion / NANO),
        COST_TOTAL.real(cost.total / NANO),
    )


def metadata_of(record: UsageRecord) -> dict[str, str]:
    """What OpenInference calls so, but for the id of the request."""
    found = {}
    if record.key:
        found["key"] = record.key
    if record.team:
        found["team"] = record.team
    if record.project:
        found["project"] = record.project
    if record.customer:
        found["customer"] = record.customer
    if record.agent:
        found["agent"] = record.agent
    return found


def _context(record: UsageRecord) -> bytes:
    metadata = metadata_of(record)
    if record.id:
        metadata = {"request_id": record.id, **metadata}
    told = METADATA.text(utf8(jsonio.dumps(metadata).decode()))
    if record.session is not None or record.tags:
        told += attribute("session.id", record.session) + attribute("tag.tags", record.tags)
    return told


def _values(content: Content) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if content.input:
        found |= {"input.value": content.input, "input.mime_type": _mime(content.input)}
    if content.output:
        found |= {"output.value": content.output, "output.mime_type": _mime(content.output)}
    return found


def _mime(text: str) -> str:
    return _JSON if text[:1] in {"{", "["} and text[-1:] in {"}", "]"} else _TEXT
