"""An export, saved or being changed, beside what was sent to its list: who is new, changed, kept off, or would go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccexport.installation import Installation
from ccexport.states import Mode, RunFile
from ccexport.store.database.tables import Connection, Run
from ccexport.store.exports import ExportView

if TYPE_CHECKING:
    from ccexport.segments.source import Source
    from ccexport.services.preview.beside_ledger import BesideLedger
    from ccexport.services.preview.preview_values import Question
    from ccexport.store.ledgers import Known


@dataclass(frozen=True)
class LedgerOf:
    """Whose ledger is looked at: of an export, for a list of an account."""

    export_id: int
    account_id: str
    list_id: str

    @classmethod
    def saved(cls, view: ExportView, connection: Connection | None) -> LedgerOf | None:
        """None where the export has no account."""
        if connection is None:
            return None
        return cls(view.export.id, connection.account_id, view.export.list_id)


class Comparing:
    """Questions about an export beside its ledger. Who is on the list now is not asked, so it costs no request."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def beside(
        self, at: LedgerOf, question: Question, mode: Mode, *, samples: bool = True
    ) -> Callable[[Source], BesideLedger] | None:
        """What makes the comparison of a source, as a run would; None where nobody is known of the list.

        With `samples` it reads back what was sent of some people. Whether somebody may see it is for the caller to say.
        """
        from ccexport.services.preview.beside_ledger import beside_ledger  # these bring Ibis along
        from ccexport.services.preview.sent_before import SentBefore

        known = self._known(at)
        if known is None:
            return None
        key = self._installation.ledgers.hash_key()
        sent = SentBefore(self._runs_to(at), self._installation.run_files) if samples else None
        lines = sent.lines if sent else None
        return lambda source: beside_ledger(source, question, mode, known, key, lines)

    def _runs_to(self, at: LedgerOf) -> list[Run]:
        """Those of the export that sent something to the list and whose files are kept here, the newest first."""
        return [
            run
            for run in self._installation.runs.latest(limit=None)
            if (run.export_id, run.account_id, run.list_id)
            == (at.export_id, at.account_id, at.list_id)
            and run.submitted_count
            and self._installation.run_files.exists(run.id, RunFile.CONTACTS)
        ]

    def asks(self, beside: BesideLedger, at: LedgerOf, guard: int | None) -> bool:
        """Whether a run of what was found would wait until somebody approves it."""
        return beside.asks(guard) and self._installation.runs.has_ended_well(
            at.export_id, at.account_id, at.list_id
        )

    def _known(self, at: LedgerOf) -> Known | None:
        from ccexport.store.ledgers import Target  # brings Arrow along

        target = Target(at.export_id, at.account_id, at.list_id)
        known = self._installation.ledgers.known(target)
        return known if len(known.own) or any(map(len, known.others)) else None
