"""Log lines: their form, and what never gets into them."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy.base import jsonio
from proxy.processes import logs

log = logging.getLogger("llm-proxy.test")

Written = Callable[[], str]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What went to stderr since last asked; the test's own logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level, hook = list(root.handlers), root.level, sys.excepthook
    in_threads, unraisable = threading.excepthook, sys.unraisablehook
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(logs.OURS).setLevel(logging.NOTSET)
    sys.excepthook = hook
    threading.excepthook, sys.unraisablehook = in_threads, unraisable
    logging.captureWarnings(False)


def fail_with_a_key() -> None:
    raise ValueError("sk-abcdef0123456789 is wrong")


def json_line(written: Written) -> dict[str, Any]:
    line: dict[str, Any] = jsonio.loads(written())
    return line


def test_a_json_line_names_the_process(written: Written) -> None:
    logs.set_up("worker-3", style="json")
    log.warning("hello %s", "world")
    line = json_line(written)
    assert line["process"] == "worker-3"
    assert line["level"] == "warning"
    assert line["message"] == "hello world"
    assert line["logger"] == "llm-proxy.test"
    assert isinstance(line["pid"], int)
    assert line["time"].endswith("Z")


def test_a_text_line_names_the_process(written: Written) -> None:
    logs.set_up("control", style="text")
    log.error("hello")
    line = written()
    assert " ERROR   control[" in line
    assert line.endswith("llm-proxy.test: hello\n")


def test_the_level_holds(written: Written) -> None:
    logs.set_up("control", level="warning")
    log.info("quiet")
    assert written() == ""
    logs.set_up("control", level="debug")
    log.debug("loud")
    assert "loud" in written()


def test_libraries_are_heard_from_warnings_on_whatever_our_level(written: Written) -> None:
    logs.set_up("control", level="debug", style="text")
    foreign = logging.getLogger("watchfiles.main")
    foreign.info("1 change detected")
    assert written() == ""
    foreign.warning("no more watches")
    assert "no more watches" in written()


def test_setting_up_again_replaces_what_was(written: Written) -> None:
    logs.set_up("control", style="text")
    logs.set_up("control", style="json")
    log.error("once")
    assert json_line(written)["message"] == "once"


@pytest.mark.parametrize("style", ["json", "text"])
def test_keys_are_redacted_in_arguments_and_tracebacks(written: Written, style: str) -> None:
    logs.set_up("worker-0", style=style)
    try:
        fail_with_a_key()
    except ValueError:
        log.exception("call with %s", "Bearer 0123456789")
    text = written()
    assert "0123456789" not in text
    assert "fail_with_a_key" in text


def test_a_message_cannot_forge_a_second_text_line(written: Written) -> None:
    logs.set_up("worker-0", style="text")
    log.warning("model %s", "x\n2026-01-01 ERROR forged\r")
    line = written()
    assert line.count("\n") == 1
    assert "\r" not in line


@pytest.mark.parametrize("style", ["json", "text"])
def test_bytes_that_are_no_text_are_still_logged(written: Written, style: str) -> None:
    logs.set_up("worker-0", style=style)
    log.warning("path %s", b"/v1/\xff".decode("utf-8", "surrogateescape"))
    assert "udcff" in written()


def test_a_line_that_cannot_be_formatted_shows_no_argument(written: Written) -> None:
    logs.set_up("worker-0", style="text")
    log.warning("number %d", "sk-abcdef0123456789")
    text = written()
    assert "abcdef" not in text
    assert "llm-proxy.test" in text
    assert "TypeError" in text


def test_the_last_words_of_a_process_are_redacted_too(written: Written) -> None:
    logs.set_up("worker-0", style="json")
    try:
        fail_with_a_key()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    line = json_line(written)
    assert line["level"] == "critical"
    assert "fail_with_a_key" in line["error"]
    assert "abcdef" not in line["error"]


@pytest.mark.parametrize("style", ["json", "text"])
def test_known_secrets_are_redacted_whatever_they_look_like(written: Written, style: str) -> None:
    logs.set_up("worker-0", style=style, secrets=["plain words"])
    log.error("they said %s and plain%%20words", "plain words")
    assert "they said *** and ***" in written()


def test_a_thread_that_dies_is_redacted_too(written: Written) -> None:
    logs.set_up("worker-0", style="json")
    thread = threading.Thread(target=fail_with_a_key, name="reader")
    thread.start()
    thread.join()
    line = json_line(written)
    assert line["message"] == "the thread reader ends with an error"
    assert "ValueError: sk-*** is wrong" in line["error"]


def test_an_error_in_a_destructor_is_redacted_too(written: Written) -> None:
    class Holder:
        def __del__(self) -> None:
            fail_with_a_key()

    logs.set_up("worker-0", style="json")
    holder = Holder()
    del holder
    assert "sk-*** is wrong" in json_line(written)["error"]
