"""When to look next at what Constant Contact works on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

LONGEST_SECONDS = 60.0
SHORTEST_SECONDS = 0.5
SHARE = 0.15  # of how long it takes, or of the time gone by where that is not known: so late an end is seen at most


class PollTimer:
    """When to look next: after the first interval, then, while nothing ends, when a seventh more time has gone by.

    Intervals grow up to a minute. When something ended, how long it took says how soon the rest can be expected.
    """

    def __init__(self, first_seconds: float, now: datetime) -> None:
        self._first = first_seconds
        self._interval = first_seconds
        self._since = now  # the look that last saw something end, or the beginning
        self._has_ended = False  # whether this run knows how long its files take
        self.looked_at = now
        self.expected_at: datetime | None = None  # the end of the last of them
        self.due_at = now + timedelta(seconds=first_seconds)

    def seconds_left(self, now: datetime) -> float:
        longest = timedelta(seconds=max(self._interval, self._first))
        self.due_at = min(self.due_at, now + longest)  # further ahead: the clock was set back
        return max(0.0, (self.due_at - now).total_seconds())

    def taken_over(self) -> None:
        """What was sent before may have ended long ago: look at once."""
        self.due_at = datetime.min.replace(tzinfo=UTC)

    def all_sent(self, now: datetime) -> None:
        """Nothing more is sent: look a first interval from now, unless that was to be later."""
        self.due_at = min(self.due_at, now + timedelta(seconds=self._first))

    def expect(self, at: datetime) -> None:
        """By what files of another run took, one of this run should have ended at `at`: look then, if not sooner.

        Where something of this run has ended, that says it better.
        """
        if not self._has_ended and at > self.looked_at:
            self.due_at = min(self.due_at, at + timedelta(seconds=SHORTEST_SECONDS))

    def expect_last(self, sent_at: datetime, took_seconds: float) -> None:
        """Look when the file sent last should have ended, by what others of this run took, if not sooner too.

        Where a look has not shown it, it takes somewhat longer.
        """
        at = sent_at + timedelta(seconds=took_seconds)
        if at <= self.looked_at:
            age_seconds = (self.looked_at - sent_at).total_seconds()
            at = self.looked_at + timedelta(seconds=self._share_of(age_seconds))
        self.expected_at = at
        self.due_at = min(self.due_at, at)

    def _share_of(self, seconds: float) -> float:
        least = min(self._first, SHORTEST_SECONDS)
        return min(max(seconds * SHARE, least), LONGEST_SECONDS)

    def news_since(self, now: datetime) -> datetime:
        """A look from before then tells this run nothing: it had one itself, or all should have ended since."""
        if self.expected_at is not None and self.expected_at <= now:
            return max(self.looked_at, self.expected_at)
        return self.looked_at

    def looked(self, now: datetime, ended_after_seconds: float | None) -> None:
        """A look was taken; `ended_after_seconds`: how long what has ended took, None where nothing has.

        One that another run had taken, before this one's was due, and in which nothing has ended, moves nothing.
        """
        self.looked_at = now
        self._has_ended |= ended_after_seconds is not None
        if ended_after_seconds is None and now < self.due_at:
            return
        if ended_after_seconds is None:
            waited_seconds = (now - self._since).total_seconds()
            least = self._interval if self._has_ended else self._first - waited_seconds
            self._interval = max(self._share_of(waited_seconds), least)
        else:
            self._interval = self._share_of(ended_after_seconds)
            self._since = now
        self.due_at = now + timedelta(seconds=self._interval)
