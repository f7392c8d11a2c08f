"""The preview: the real pipeline over the whole of the segments, counted instead of sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.preview import Preview, Sample, summarise
from ccexport.preparation.stream import prepared_rows
from ccexport.segments.masking import mask_value
from ccexport.segments.source import Source

CHECKS_BEFORE_SENDING = 2  # account and list; a further one for custom fields
LOOKS_AT_LEAST = 2


@dataclass(frozen=True)
class ProfileSample:
    """A profile as it is, beside what Constant Contact would get."""

    profile: Mapping[str, str | None]
    sample: Sample


@dataclass(frozen=True)
class ExportPreview:
    """What a run would do now. `requests` is an estimate: how often one looks depends on Constant Contact."""

    counts: Preview
    requests: int
    samples: tuple[ProfileSample, ...]

    def seconds_at_least(self, requests_per_second: float) -> int:
        """The time the requests alone take at the allowed rate."""
        return math.ceil(self.requests / requests_per_second)


def preview_mapping(
    source: Source,
    segments: Sequence[str],
    mapping: FieldMapping,
    custom_field_types: Mapping[str, str],
    samples: int,
) -> ExportPreview:
    """Run the one expression over the whole segments. Raises `SourceError` and `MappingError`."""
    rows = prepared_rows(source, segments, mapping, custom_field_types)
    counts = summarise(rows, mapping.fields, samples)
    profiles = source.profiles(sample.customer_id for sample in counts.samples)
    return ExportPreview(
        counts=counts,
        requests=_requests(counts, mapping),
        samples=tuple(
            ProfileSample(_as_it_is(profiles.get(sample.customer_id, {}), mapping), sample)
            for sample in counts.samples
        ),
    )


def as_seen(samples: Sequence[ProfileSample], *, masked: bool) -> tuple[ProfileSample, ...]:
    """As somebody may see them; keys stay, so that one can talk about a profile."""
    if not masked:
        return tuple(samples)
    return tuple(
        ProfileSample(
            {name: value and mask_value(value) for name, value in each.profile.items()},
            replace(
                each.sample,
                contact={name: mask_value(value) for name, value in each.sample.contact.items()},
            ),
        )
        for each in samples
    )


def preview_document(
    preview: ExportPreview, *, export: str, list_id: str, requests_per_second: float
) -> dict[str, Any]:
    """As `exports preview --json` prints it."""
    counts = preview.counts
    return {
        "export": export,
        "list_id": list_id,
        "counts": {
            "read": counts.read,
            "rejected": counts.rejected,
            "prepared": counts.prepared,
            "unchanged": 0,
            "truncated": counts.truncated,
        },
        "rejections": dict(counts.rejections),
        "files": counts.files,
        "bytes": counts.bytes,
        "requests": preview.requests,
        "seconds_at_least": preview.seconds_at_least(requests_per_second),
        "samples": [
            {
                "customer_id": item.sample.customer_id,
                "profile": dict(item.profile),
                "contact": dict(item.sample.contact),
                "rejection": item.sample.rejection,
                "sent_instead": item.sample.sent_instead,
            }
            for item in preview.samples
        ],
    }


def _requests(counts: Preview, mapping: FieldMapping) -> int:
    if not counts.prepared:
        return 0
    checks = CHECKS_BEFORE_SENDING + bool(mapping.custom_fields)
    return checks + counts.files + LOOKS_AT_LEAST


def _as_it_is(profile: Mapping[str, str | None], mapping: FieldMapping) -> Mapping[str, str | None]:
    """The attributes that the mapping uses."""
    return {name: profile.get(name) for name in mapping.attributes_used}
