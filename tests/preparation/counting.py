"""What a run counts and sends, of the very rows that it reads: what a preview is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ccexport.preparation.contacts import Prepared
from ccexport.preparation.files import cut_files, file_of


@dataclass(frozen=True)
class Counts:
    read: int
    rejected: int
    prepared: int
    truncated: int
    rejections: Mapping[str, int]
    files: int
    bytes: int


def files_of_a_run(prepared: Prepared, fields: Sequence[str], **limits: int) -> list[bytes]:
    """The files as they are sent."""
    contacts = prepared.contacts
    cuts = cut_files(contacts.line_bytes, contacts.plain, fields, **limits)
    return [file_of(contacts.take(*cut).column("line"), fields) for cut in cuts]


def counts_of_a_run(prepared: Prepared, fields: Sequence[str]) -> Counts:
    files = files_of_a_run(prepared, fields)
    return Counts(
        read=prepared.read,
        rejected=prepared.rejections.num_rows,
        prepared=len(prepared.contacts),
        truncated=prepared.truncated,
        rejections=dict(prepared.reasons()),
        files=len(files),
        bytes=sum(map(len, files)),
    )
