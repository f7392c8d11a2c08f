"""The preview: the real pipeline over the whole of the segments, counted instead of sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ccexport.segments.masking import mask_value
from ccexport.segments.source import Source, Strangers
from ccexport.services.preview.beside_ledger import BesideLedger, Samples, nobody_known
from ccexport.services.preview.preview_engine import PreviewEngine
from ccexport.services.preview.preview_values import ProfileSample, Question, Whole
from ccexport.states import Mode


@dataclass(frozen=True)
class ExportPreview:
    """What a run would do now, and some profiles of each kind."""

    counts: Whole
    samples: tuple[ProfileSample, ...]
    strangers: Strangers
    beside: BesideLedger

    @property
    def requests(self) -> int:
        return self.beside.requests(self.counts)

    def as_seen(self, *, masked: bool) -> ExportPreview:
        """As somebody may see it who may, or may not, see values of profiles."""
        beside = self.beside
        if masked:
            beside = replace(beside, samples=beside.samples.masked())
        return replace(self, beside=beside, samples=as_seen(self.samples, masked=masked))

    def seconds_at_least(self, requests_per_second: float) -> int:
        """The time the requests alone take at the allowed rate."""
        return math.ceil(self.requests / requests_per_second)


def preview_mapping(
    source: Source, question: Question, samples: int, mode: Mode = Mode.FULL
) -> ExportPreview:
    """Judge every profile as a run does, and as if nobody were known. Raises `SourceError` and `MappingError`."""
    engine = PreviewEngine(source)
    counts = engine.count(question)
    keys = counts.examples(samples)
    samples_found = engine.evaluate(question, keys, counts.sent_instead(keys))
    return ExportPreview(counts, samples_found, counts.strangers, nobody_known(counts, mode))


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
    preview: ExportPreview,
    *,
    export: str,
    list_id: str,
    requests_per_second: float,
    asks: bool = False,
) -> dict[str, Any]:
    """As `exports preview --json` prints it. `asks`: a run would wait until somebody approves it."""
    counts, beside = preview.counts, preview.beside
    return {
        "export": export,
        "list_id": list_id,
        "counts": {
            "read": counts.read,
            "rejected": counts.rejected,
            "prepared": counts.prepared,
            "new": beside.new,
            "changed": beside.changed,
            "unchanged": beside.unchanged,
            "suppressed": beside.suppressed,
            "to_remove": beside.to_remove,
            "truncated": counts.truncated,
        },
        "rejections": dict(counts.rejections),
        "warnings": counts.warnings,
        "members_without_profile": preview.strangers.without_profile,
        "example_of_each_side": preview.strangers.example_of_each_side,
        "asks_first": asks,
        "mapping_changed": beside.mapping_changed,
        "examples": _examples(beside.samples),
        "files": beside.files,
        "bytes": beside.bytes,
        "requests": preview.requests,
        "seconds_at_least": preview.seconds_at_least(requests_per_second),
        "samples": [
            {
                "customer_id": item.sample.customer_id,
                "profile": dict(item.profile),
                "contact": dict(item.sample.contact),
                "rejection": item.sample.rejection,
                "rejected_field": item.sample.rejected_field,
                "sent_instead": item.sample.sent_instead,
            }
            for item in preview.samples
        ],
    }


def _examples(samples: Samples) -> dict[str, Any]:
    """Of those who changed which fields did, before and after (null where that is not kept); who would be removed."""
    changed = [
        {
            "customer_id": each.customer_id,
            "fields": None
            if each.fields is None
            else {
                name: {"before": before, "after": after}
                for name, (before, after) in each.fields.items()
            },
        }
        for each in samples.changed
    ]
    to_remove = [
        {"customer_id": each.customer_id, "email": each.values["email"].rstrip()}
        for each in samples.to_remove
    ]
    return {"changed": changed, "to_remove": to_remove}
