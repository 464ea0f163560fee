"""Every golden case comes out the same however the vendor's bytes are split into packets."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.sse import end_of_events
from tests.examples import examples
from tests.unit.wire.wire_splits import bytewise, splits
from tests.wire.golden import CASES, Case, cases

FOLDERS = cases()
NAMES = [str(folder.relative_to(CASES)) for folder in FOLDERS]


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_whole_and_byte_by_byte(folder: Path, update_cases: bool) -> None:
    case = Case(folder)
    outcome = case.run([case.upstream_in])
    if update_cases:
        case.write(outcome)
    assert outcome == case.golden()
    assert case.run(bytewise(case.upstream_in)) == outcome
    assert case.run([case.upstream_in], here=True) == outcome


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_any_split(folder: Path) -> None:
    case = Case(folder)
    golden = case.golden()

    @settings(max_examples=examples(20))
    @given(splits(case.upstream_in))
    def any_split(pieces: list[bytes]) -> None:
        assert case.run(pieces) == golden

    any_split()


@given(st.data())
def test_a_stream_that_is_cut_anywhere_never_looks_finished(data: st.DataObject) -> None:
    case = Case(CASES / "openai" / "chat" / "stream_usage_not_asked")
    whole = case.upstream_in
    kept = whole[: data.draw(st.integers(0, whole.index(b'"finish_reason":"stop"')))]
    body = case.run(data.draw(splits(kept))).body
    told, _, rest = body.partition(b"event: error\n")
    assert told == kept[: end_of_events(kept)]
    assert rest.startswith(b'data: {"error":')
    assert b"[DONE]" not in body
    assert b"event: error" not in rest


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 20
