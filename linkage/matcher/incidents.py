"""Incidents at the processor: its operator's reports, brought into the log at the first chance.

The operator's command leaves a report as a file; the matcher takes it within a second while it
runs, else at its next start. The leaf is the matcher's own word, under its checkpoints, and its
time says when the parties could know.
"""

import os
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import ValidationError

from linkage.agreement.incidents import PROCESSOR, IncidentReport, processor_body
from linkage.agreement.model import problems_of
from linkage.errors import ConfigError
from linkage.log.entry import Entry
from linkage.matcher.journal import Journal, time_of, with_body
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata

_FOLDER, _REFUSED = "incidents", ".refused"


class Incidents:
    """Takes the operator's reports.

    Args:
        data: the matcher's folder.
        metadata: the database.
        journal: makes log entries.
        ledger: the state of the log.
        log: publishes them.
    """

    def __init__(
        self, data: Path, metadata: Metadata, journal: Journal, ledger: Ledger, log: MatchLog
    ) -> None:
        self._folder, self._metadata = data / _FOLDER, metadata
        self._journal, self._ledger, self._match_log = journal, ledger, log
        self._log = structlog.get_logger("incidents")
        self._unreadable = set[str]()

    def take(self) -> list[str]:
        """Bring the reports that lie ready into the log; return their ids."""
        taken = list[Path]()
        for path in self._left():
            try:
                content = path.read_bytes()
            except OSError:
                # Another's file holds up no report; it stays for whoever mends it.
                self._say_unreadable(path)
                continue
            code = self._take(content)
            if code is None:
                taken.append(path)
            else:
                self._log.error("incident refused", incident=path.stem, code=code)
                path.replace(path.with_suffix(_REFUSED))
        if taken:
            self._match_log.publish()
        # A report goes once the parties can read it.
        for path in taken:
            path.unlink()
        return [path.stem for path in taken]

    def _left(self) -> list[Path]:
        try:
            # No `glob`: to it a folder that it may not read is an empty one.
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []
        except OSError:
            self._say_unreadable(self._folder)
            return []

    def _say_unreadable(self, path: Path) -> None:
        if path.name not in self._unreadable:
            self._unreadable.add(path.name)
            self._log.error("incident unreadable: give it to the matcher's user", path=str(path))

    def _take(self, content: bytes) -> str | None:
        """Append one report; return the code with which it does not count."""
        try:
            report = IncidentReport.model_validate_json(content)
        except ValidationError:
            return "MALFORMED"
        body = processor_body(report)
        with self._metadata.write() as transaction:
            state = self._ledger.state(transaction)
            if report.id in state.incidents.by_id:  # taken before, and not published yet
                return None
            entry = Entry(
                "incident.report", time_of(self._journal.clock), PROCESSOR, report.agreement
            )
            after = state.after(state.size, with_body(entry, body)[0], body)
            if len(after.rejected) > len(state.rejected):
                return after.rejected[-1].code
            self._journal.record(transaction, "incident.report", PROCESSOR, report.agreement, body)
        return None


def leave_report(
    data: Path, log: str, agreement: str, known: datetime, jobs: tuple[str, ...], what: str
) -> Path:
    """Leave a report for the matcher; return its file, which goes once it is in the log.

    Args:
        data: the matcher's folder.
        log: origin of the log.
        agreement: whose data are concerned.
        known: when the operator knew, in UTC and whole seconds.
        jobs: jobs that are concerned; none where all are.
        what: which data, when and how, and what is done.

    Raises:
        ConfigError: with every field that is refused; or this user may not write there.
    """
    name = os.urandom(16).hex()
    try:
        report = IncidentReport(
            log=log,
            agreement=agreement,
            id=name,
            party=PROCESSOR,
            known=known,
            jobs=jobs,
            what=what,
        )
    except ValidationError as error:
        raise ConfigError("incident", problems_of(error)) from error
    folder = data / _FOLDER
    path = folder / f"{name}.json"
    temporary = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_bytes(report.to_bytes())
        _give(data, folder, temporary)
        temporary.replace(path)
    except PermissionError as error:
        problem = "this user may not write there: run the command as the matcher's user, or as root"
        raise ConfigError(str(folder), [problem]) from error
    return path


def _give(data: Path, *paths: Path) -> None:
    """Give files to the owner of the matcher's folder, who could not read those of root."""
    owner = data.stat()
    for path in paths:
        found = path.stat()
        if (found.st_uid, found.st_gid) != (owner.st_uid, owner.st_gid):
            os.chown(path, owner.st_uid, owner.st_gid)
