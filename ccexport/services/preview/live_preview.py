"""The preview that follows each change of a mapping: a few profiles at once, the whole segments a moment later.

Both are the expression of a run. The source stays open for it, in two engines, so that the few need not wait for the
whole; what was worked out is forgotten when the source's files change.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

from ccexport.segments import version
from ccexport.segments.masking import mask_value
from ccexport.segments.source import Attribute, Segment, Source
from ccexport.services.preview.preview_engine import KEY, PreviewEngine
from ccexport.services.preview.preview_values import (
    Glance,
    How,
    Name,
    Pick,
    ProfileSample,
    Question,
    Usable,
    Whole,
)
from ccexport.services.preview.previews import as_seen

Answer = TypeVar("Answer")
MAX_ANSWERS = 12  # counts of whole segments, and others, that are kept


class LivePreview:
    """Questions about the source while somebody maps it. One for a whole process; safe for many threads.

    Every question raises `SourceError` where the source cannot be read as it is.
    """

    def __init__(self, open_source: Callable[[], Source], version: Callable[[], Hashable]) -> None:
        self._open_source, self._version = open_source, version
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    # --- what there is ---------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """All segments with their members, by name."""
        return list(self._now().remembered(("segments",), lambda near: near.source.segments()))

    def attributes(self) -> list[Attribute]:
        """All attributes of the profiles, with masked examples."""
        return list(self._now().remembered(("attributes",), lambda near: near.source.attributes()))

    def attribute_names(self) -> tuple[str, ...]:
        """Their names alone, which asks the source nothing."""
        return self._now().near.source.attribute_names

    def check_types(self, names: Iterable[str]) -> None:
        """Raise `SourceError` for an attribute that is not one value; asks the source nothing."""
        self._now().near.source.check_types(names)

    def masked_sample(self, segment: str, count: int) -> list[dict[str, str]]:
        """The first profiles of a segment by key, every value but the key masked."""

        def read(near: PreviewEngine) -> list[dict[str, str]]:
            pool = near.pool((segment,), near.first_keys((segment,), Pick(How.FIRST, count)))
            return [
                {
                    name: value or "" if name == KEY else mask_value(value or "")
                    for name, value in profile.items()
                }
                for profile in pool.profiles.values()
            ]

        return list(self._now().remembered(("masked", segment, count), read))

    def usable(self) -> Future[dict[str, Usable]]:
        """For each segment how many of its members can be written to, by the address suggested by name."""
        opened = self._now()
        return opened.soon(("usable",), lambda: opened.far.usable())

    # --- the preview -----------------------------------------------------------------------------

    def glance(self, question: Question, pick: Pick, *, masked: bool) -> Glance | None:
        """A few profiles as they would be sent, at once; None where they are known only with the whole."""
        opened = self._now()
        whole, last = opened.counted(question), opened.like(question)
        known = whole or last
        with opened.near.lock:
            if pick.how is How.TROUBLED:
                if whole is None:
                    return None
                keys = whole.troubled(pick.count)
            else:
                keys = opened.near.first_keys(question.segments, pick)
            samples = opened.near.evaluate(
                question, keys, known.sent_instead(keys) if known else ()
            )
        return Glance(as_seen(samples, masked=masked), is_settled=known is not None)

    def examples(
        self, whole: Whole, keys: Sequence[str], *, masked: bool
    ) -> tuple[ProfileSample, ...]:
        """Profiles of a counted whole, by key."""
        opened = self._now()
        with opened.near.lock:
            found = opened.near.evaluate(whole.question, keys, whole.sent_instead(keys))
        return as_seen(found, masked=masked)

    def counted(self, question: Question) -> Whole | None:
        """The count of the whole segments, where it is known already."""
        return self._now().counted(question)

    def count(self, question: Question) -> Future[Whole]:
        """Count the whole segments, beside whatever else is asked."""
        opened = self._now()
        return opened.soon(("whole", question), lambda: opened.far.count(question))

    def work_out(self, answer: Callable[[Source], Answer]) -> Future[Answer]:
        """What somebody makes of the source, by the thread that counts; it is not remembered."""
        opened = self._now()
        return opened.once(lambda: opened.far.locked(answer))

    def close(self) -> None:
        """Let go of the source; the next question opens it again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _now(self) -> _Opened:
        """The source as it is now; whatever was worked out from earlier files is gone."""
        version = self._version()
        with self._lock:
            stale = self._opened if self._opened and self._opened.version != version else None
            if stale is not None:
                self._opened = None
            if self._opened is None:
                self._opened = _Opened(version, self._open_source)
            opened = self._opened
        if stale is not None:
            stale.close()
        return opened


def source_version(url: str) -> Hashable:
    """Changes when the source's files do; for a database, every ten minutes."""
    return version.source_version(url)


class _Opened:
    """The source as of a version: an engine for the few, one for the whole, and what they found."""

    def __init__(self, version: Hashable, open_source: Callable[[], Source]) -> None:
        self.version = version
        self.near = PreviewEngine(open_source())
        self._open_source = open_source
        self._lock = threading.Lock()
        self._answers: OrderedDict[Name, Any] = OrderedDict()
        self._under_way: dict[Name, Future[Any]] = {}
        self._like: dict[Name, Whole] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preview")

    @cached_property
    def far(self) -> PreviewEngine:
        return PreviewEngine(self._open_source())

    def remembered(self, key: Name, work_out: Callable[[PreviewEngine], Any]) -> Any:
        with self.near.lock:
            found = self._answer(key)
            if found is None:
                found = work_out(self.near)
                self._remember(key, found)
            return found

    def counted(self, question: Question) -> Whole | None:
        found: Whole | None = self._answer(("whole", question))
        return found

    def like(self, question: Question) -> Whole | None:
        """A count whose duplicates are those of the question too."""
        with self._lock:
            return self._like.get(question.deciding)

    def soon(self, key: Name, work_out: Callable[[], Any]) -> Future[Any]:
        """The answer, now or from the one thread that works for all."""
        known = self._answer(key)
        if known is not None:
            done: Future[Any] = Future()
            done.set_result(known)
            return done
        with self._lock:
            future = self._under_way.get(key)
            if future is None or future.cancelled():
                future = self._worker.submit(self._work, key, work_out)
                self._under_way[key] = future
            return future

    def once(self, work: Callable[[], Answer]) -> Future[Answer]:
        """The answer from the one thread, asked anew each time."""
        return self._worker.submit(work)

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)
        for engine in (self.near, vars(self).get("far")):
            if engine is not None:
                with engine.lock:
                    engine.source.close()

    def _work(self, key: Name, work_out: Callable[[], Any]) -> Any:
        try:
            found = work_out()
            self._remember(key, found)
            return found
        finally:
            with self._lock:
                self._under_way.pop(key, None)

    def _answer(self, key: Name) -> Any:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def _remember(self, key: Name, found: Any) -> None:
        with self._lock:
            self._answers[key] = found
            if isinstance(found, Whole):
                self._like[found.question.deciding] = found
            while len(self._answers) > MAX_ANSWERS:
                _, gone = self._answers.popitem(last=False)
                if isinstance(gone, Whole) and self._like.get(gone.question.deciding) is gone:
                    del self._like[gone.question.deciding]
