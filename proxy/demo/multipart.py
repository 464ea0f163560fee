"""Reads a multipart/form-data body (RFC 7578): the small fields, and the size of each file."""

import re
from dataclasses import dataclass

from proxy.demo.content import Refusal, Request
from proxy.demo.fields import missing

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"^content-disposition:\s*form-data([^\r\n]*)", re.IGNORECASE | re.M)
_PARAMETER = re.compile(rb';\s*(name|filename)="([^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form: what it is called and how many bytes it has."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Form:
    """A form: text fields (the last of each name) and files."""

    fields: dict[str, str]
    files: dict[str, File]

    def file(self, *names: str) -> File:
        """The file under the first of `names` that is there."""
        for name in names:
            if name in self.files:
                return self.files[name]
        raise missing(names[0])


def is_form(request: Request) -> bool:
    return request.media.partition(";")[0].strip().lower() == "multipart/form-data"


def form_of(request: Request) -> Form:
    """The form in the body of `request`."""
    if not is_form(request):
        raise Refusal("The body must be multipart/form-data.", code="unsupported_content_type")
    found = _BOUNDARY.search(request.media)
    if found is None:
        raise Refusal("The content type multipart/form-data must name its boundary.")
    mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    parts = (b"\r\n" + request.body).split(mark)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise Refusal("The multipart body ends before its last boundary.")
    form = Form({}, {})
    for part in parts[1:-1]:
        _add(form, part)
    return form


def _add(form: Form, part: bytes) -> None:
    head, gap, content = part.partition(b"\r\n\r\n")
    disposition = _DISPOSITION.search(head)
    if not gap or disposition is None:
        raise Refusal("A part of the multipart body has no content-disposition.")
    parameters = {
        key.lower(): value.decode("utf-8", "replace")
        for key, value in _PARAMETER.findall(disposition[1])
    }
    name = parameters.get(b"name", "")
    if b"filename" in parameters:
        form.files.setdefault(name, File(parameters[b"filename"], len(content)))
    else:
        form.fields[name] = content.decode("utf-8", "replace")
