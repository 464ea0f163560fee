"""What rules, plans and expressions may ask about one request.

What the request names is there at once; what must be looked for in its body is looked for when it
is first asked, once, in bounded time: scan.py. Facts are of the request as it then is. A body that
is no JSON has no words; its operation tells what it carries. Nothing here raises, whatever a caller
sends: a `metadata` that is no object, or a huge one, holds nothing.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from proxy.base import jsonio
from proxy.core.caller import Caller
from proxy.core.labels import Labels, label
from proxy.routing.scan import NOTHING_SAID, Said, said
from proxy.routing.scan_code import contains_code
from proxy.routing.scan_language import language
from proxy.routing.scan_maths import contains_maths
from proxy.wire import operations as op
from proxy.wire.body import Body

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange

TASK_HEADER = "x-llm-proxy-task"

# An expression may compare each with each, so the number of values is bounded, too.
_LONGEST_METADATA = 16 * 1024
_MOST_METADATA = 512
_BYTES_PER_TOKEN = 4

_WORDS_IN = {
    op.CHAT.name: ("messages",),
    op.COMPLETIONS.name: ("prompt", "suffix"),
    op.RESPONSES.name: ("instructions", "input"),
    op.EMBEDDINGS.name: ("input",),
    op.MODERATIONS.name: ("input",),
    op.IMAGES.name: ("prompt",),
    op.SPEECH.name: ("input", "instructions"),
    op.RERANK.name: ("query", "documents"),
}
_TEXT = frozenset(("text",))
_FORMS = {
    op.TRANSCRIPTIONS.name: frozenset(("audio",)),
    op.TRANSLATIONS.name: frozenset(("audio",)),
    op.IMAGE_EDITS.name: frozenset(("text", "image")),
    op.IMAGE_VARIATIONS.name: frozenset(("image",)),
}
_SCHEMA = re.compile(rb'"type"\s*:\s*"json_schema"')
_NO_TOOLS = frozenset((b"[]", b"null", b"{}"))


class Facts:
    """Of one request. `kept`: whatever an expression wants to keep as long as these facts live."""

    __slots__ = (
        "_body",
        "_code",
        "_language",
        "_maths",
        "_metadata",
        "_said",
        "_task",
        "caller",
        "kept",
        "labels",
        "model",
        "operation",
        "stream",
    )

    def __init__(
        self,
        model: str,
        operation: op.Operation,
        body: Body | None,
        caller: Caller,
        labels: Labels,
        *,
        task: str | None = None,
        stream: bool = False,
    ) -> None:
        """`body`: None unless it is JSON. `task`: what the header says."""
        self.model = model
        self.operation = operation
        self.caller = caller
        self.labels = labels
        self.stream = stream
        self.kept: dict[object, object] = {}
        self._body = body
        self._task = label(task) if task is not None else None
        self._said: Said | None = None
        self._metadata: Mapping[str, object] | None = None
        self._code: bool | None = None
        self._maths: bool | None = None
        self._language: str | None = ""

    @property
    def team(self) -> str | None:
        return self.caller.team

    @property
    def key(self) -> str:
        return self.caller.name

    @property
    def user_tier(self) -> str | None:
        return self.caller.tier

    @property
    def agent(self) -> str | None:
        return self.labels.agent

    @property
    def tags(self) -> tuple[str, ...]:
        return self.labels.tags

    @property
    def task(self) -> str | None:
        """What the header says, else `metadata.task_type`."""
        return self._task or label(self.metadata.get("task_type"))

    @property
    def metadata(self) -> Mapping[str, object]:
        """The body's; empty for what is no object, or too large."""
        if self._metadata is None:
            self._metadata = _metadata(self._value("metadata"))
        return self._metadata

    @property
    def said(self) -> Said:
        """What was found in the members of the body that hold words."""
        if self._said is None:
            names = _WORDS_IN.get(self.operation.name, ())
            values = [value for name in names if (value := self._value(name)) is not None]
            self._said = said(values) if values else NOTHING_SAID
        return self._said

    @property
    def prompt(self) -> str:
        """The beginning and the end of all that is said."""
        return self.said.text

    @property
    def content_tokens(self) -> int:
        """One for every four bytes of words."""
        return -(-self.said.size // _BYTES_PER_TOKEN)

    @property
    def contains_code(self) -> bool:
        if self._code is None:
            self._code = contains_code(self.said)
        return self._code

    @property
    def contains_math(self) -> bool:
        if self._maths is None:
            self._maths = contains_maths(self.said, in_code=self.contains_code)
        return self._maths

    @property
    def language(self) -> str | None:
        """As an ISO 639-1 code; None where that is not plain."""
        if self._language == "":
            self._language = language(self.said)
        return self._language

    @property
    def modality(self) -> frozenset[str]:
        """Of `text`, `image`, `audio`."""
        form = _FORMS.get(self.operation.name)
        if form is not None:
            return form
        media = self.said.media
        return _TEXT | media if media else _TEXT

    @property
    def tools(self) -> bool:
        """Whether the request brings any."""
        return self._given("tools") or self._given("functions")

    @property
    def json_schema(self) -> bool:
        """Whether the answer is to follow one."""
        name = "text" if self.operation is op.RESPONSES else "response_format"
        wanted = self._value(name)
        return wanted is not None and _SCHEMA.search(wanted) is not None

    def _value(self, name: str) -> bytes | None:
        return self._body.value(name) if self._body is not None else None

    def _given(self, name: str) -> bool:
        value = self._value(name)
        return value is not None and b"".join(value[:16].split()) not in _NO_TOOLS


def facts_of(x: "Exchange") -> Facts:
    """The facts of a request whose caller and labels are known."""
    body = x.body if isinstance(x.body, Body) else None
    task = x.incoming.headers.get(TASK_HEADER)
    return Facts(x.model or "", x.operation, body, x.caller, x.labels, task=task, stream=x.stream)


def _metadata(text: bytes | None) -> Mapping[str, object]:
    if text is None or len(text) > _LONGEST_METADATA or text.count(b",") > _MOST_METADATA:
        return {}
    try:
        found = jsonio.loads(text)
    except jsonio.JSONError:  # A number beyond all floats: the body was read without looking at it.
        return {}
    return found if isinstance(found, dict) else {}
