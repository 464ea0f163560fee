"""Usage that one look finds is what a closer look finds; what is unusual is left to that."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.jsonio import dumps, pretty
from proxy.usage.usual_usage import usual_usage
from proxy.wire.measure import reported
from proxy.wire.tail import Tail
from tests.examples import examples
from tests.unit.usage.usages import USAGES

counts = st.integers(0, 10**9 + 5)
usage_objects = st.fixed_dictionaries(
    {"prompt_tokens": counts, "completion_tokens": counts, "total_tokens": counts},
    optional={
        "prompt_tokens_details": st.none()
        | st.fixed_dictionaries(
            {"cached_tokens": counts}, optional={"audio_tokens": st.sampled_from((0, 0, 0, 5))}
        ),
        "completion_tokens_details": st.none()
        | st.fixed_dictionaries(
            {"reasoning_tokens": counts, "audio_tokens": st.sampled_from((0, 0, 3))},
            optional={"accepted_prediction_tokens": counts, "rejected_prediction_tokens": counts},
        ),
        "cost": st.floats(0, 1),
    },
)


@settings(max_examples=examples(100), deadline=None)
@given(
    usage=usage_objects,
    agrees=st.booleans(),
    after=st.sampled_from((b"", b'"billed_units":{"input_tokens":3}')),
    write=st.sampled_from((dumps, pretty)),
)
def test_one_look_sees_what_a_closer_look_sees(
    usage: dict[str, object], agrees: bool, after: bytes, write: Callable[[object], bytes]
) -> None:
    if agrees:
        usage["total_tokens"] = int(str(usage["prompt_tokens"])) + int(
            str(usage["completion_tokens"])
        )
    tail = Tail()
    tail.feed(b'{"id":"x","usage":null,"usage":' + write(usage) + b"," + after + b"}")
    found = usual_usage(tail.last())
    assert found is None or found == reported(tail)


EMBEDDING = b'"usage":{"prompt_tokens":8,"total_tokens":8}'
NO_DETAILS = (
    b'"usage":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4,'
    b'"prompt_tokens_details":null}'
)


@pytest.mark.parametrize("text", [*USAGES[:2], EMBEDDING, NO_DETAILS])
def test_the_usual_is_seen_at_one_look(text: bytes) -> None:
    tail = Tail()
    tail.feed(b"{" + text + b"}")
    assert usual_usage(tail.last()) == reported(tail)
    assert usual_usage(tail.last()) is not None


@pytest.mark.parametrize(
    "text",
    [
        b'{"usage":{"prompt_tokens":09,"completion_tokens":4,"total_tokens":13}}',
        b'{"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13',
        b'{"usage":{"prompt_tokens":-9,"completion_tokens":4,"total_tokens":-5}}',
        b'{"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"cost":1}}',
        b'["usage",{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}]',
        b'{"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,'
        b'"prompt_tokens_details":{"cached_tokens":1}}}',
        b'}"usage"',
        b'}"usage":',
        b"",
    ],
    ids=["zeros", "torn", "negative", "more", "no name", "half", "end", "colon", "empty"],
)
def test_what_is_unusual_is_left_to_a_closer_look(text: bytes) -> None:
    assert usual_usage(text) is None
