"""Segments: what the source holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ccexport.installation import Installation

if TYPE_CHECKING:
    from ccexport.segments.source import Attribute, Segment


class Segments:
    """Questions about the source."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def all(self) -> list[Segment]:
        with self._installation.open_source() as source:
            return source.segments()

    def one(self, name: str) -> tuple[Segment, list[Attribute]]:
        """A segment, and the attributes of all profiles. Raises `SourceError` naming near names."""
        with self._installation.open_source() as source:
            source.check_segments([name])
            segment = next(found for found in source.segments() if found.name == name)
            return segment, source.attributes()


def segment_documents(segments: Sequence[Segment]) -> list[dict[str, str | int]]:
    """Names and members; labels too where the source has any."""
    documents: list[dict[str, str | int]] = [
        {"name": segment.name, "members": segment.members} for segment in segments
    ]
    if any(segment.label for segment in segments):
        for document, segment in zip(documents, segments, strict=True):
            document["label"] = segment.label
    return documents
