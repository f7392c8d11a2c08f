"""Reading an upload: the parts of a multipart/form-data body, as they stand.

Written by hand because the parts' own headers, their order and where the four megabytes end
matter here, which form parsers hide.
"""

from dataclasses import dataclass
from email.message import Message


@dataclass(frozen=True)
class Part:
    """One part; `start` is where its data begins in the body."""

    name: str
    file_name: str | None
    content_type: str | None
    start: int
    data: bytes


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart/form-data request; None if it is not one."""
    header = _header(content_type)
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        return None
    return boundary.encode()


def read_parts(body: bytes, boundary: bytes) -> list[Part]:
    """All parts in order; what is not well-formed is left out."""
    parts = []
    mark = b"--" + boundary
    at = body.find(mark)
    while at >= 0:
        head_start = at + len(mark) + 2
        head_end = body.find(b"\r\n\r\n", head_start)
        end = body.find(b"\r\n" + mark, max(head_end, head_start))
        if head_end < 0 or end < 0 or body[at + len(mark) : head_start] == b"--":
            break
        start = head_end + 4
        parts.append(_part(body[head_start:head_end], start, body[start:end]))
        at = end + 2
    return parts


def _part(head: bytes, start: int, data: bytes) -> Part:
    fields = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    disposition = _header(fields.get("content-disposition", ""), "content-disposition")
    part_name = disposition.get_param("name", "", "content-disposition")
    return Part(str(part_name), disposition.get_filename(), fields.get("content-type"), start, data)


def _header(value: str, name: str = "content-type") -> Message:
    message = Message()
    message[name] = value
    return message
