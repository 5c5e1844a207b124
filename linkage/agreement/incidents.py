"""Incidents (UU 27/2022 art. 46): who knew when, and who told persons and authority until when.

Two clocks run. The processor tells the parties within the hours of the agreement ("at the first
opportunity", PP 33/2026 art. 118): its report in the log is that telling. Each party then has
the hours of the agreement, 72, from the moment it knew, to tell the persons concerned and the
authority, and says so in the log; or says that no record of its own is concerned. A report names
jobs and what happened, never a person: whose records they were each agent finds by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from linkage.agreement.payload import OfParty, Time, envelope_of, parse_payload
from linkage.agreement.principals import Principals
from linkage.agreement.refusal import Refused
from linkage.agreement.rights import NoticeId
from linkage.agreement.said import Said
from linkage.agreement.standing import Agreements, Standing
from linkage.agreement.values import Prose
from linkage.deadlines import Deadline, after_hours
from linkage.errors import MalformedMessageError
from linkage.log.canonical import JsonObject, format_json
from linkage.log.entry import Entry

PROCESSOR = "matcher"
Step = Literal["subjects", "authority", "unaffected"]
_NEEDED: tuple[Step, ...] = ("subjects", "authority")
_SKEW = timedelta(minutes=5)
_JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,32}$")]


class IncidentReport(OfParty):
    """What happened; signed by the party that reports, or the matcher's own word.

    The party of the matcher's word is `matcher`.

    Attributes:
        id: drawn for this incident.
        known: when it knew.
        jobs: ids of jobs whose uploads or results are concerned; none where all are.
        what: which data, when and how, and what is done about it; nothing of persons.
    """

    TYPE = "application/vnd.padan.incident.report+json"

    id: NoticeId
    known: Time
    jobs: Annotated[tuple[_JobId, ...], Field(max_length=256)] = ()
    what: Prose


class IncidentStep(OfParty):
    """What a party did about an incident; signed by it.

    Attributes:
        incident: its id.
        step: told the persons, or the authority; or none of its records is concerned.
        text: how, for example the number of the letter, or why not.
    """

    TYPE = "application/vnd.padan.incident.step+json"

    incident: NoticeId
    step: Step
    text: Prose


@dataclass(frozen=True)
class Incident:
    """An incident that is in the log.

    Attributes:
        said: the report.
        reported: when it was logged.
        leaf: where.
        by_processor: until when a processor had to report; None for a party's report.
        by_party: until when each party has to have told persons and authority.
        steps: when each party did what.
    """

    said: IncidentReport
    reported: datetime
    leaf: int
    by_processor: Deadline | None
    by_party: Mapping[str, Deadline]
    steps: Mapping[tuple[str, Step], datetime] = field(default_factory=dict)

    def done(self, party: str) -> datetime | None:
        """Return when a party had done all that it owes; None while it has not."""
        unaffected = self.steps.get((party, "unaffected"))
        if unaffected is not None:
            return unaffected
        times = [self.steps.get((party, step)) for step in _NEEDED]
        found = [time for time in times if time is not None]
        return max(found) if len(found) == len(times) else None

    def overdue(self, now: datetime) -> tuple[str, ...]:
        """Return who did not do in time what it owes, the processor included."""
        late = [
            party
            for party, deadline in self.by_party.items()
            if deadline.late(self.done(party) or now)
        ]
        if self.by_processor is not None and self.by_processor.late(self.reported):
            late.append(PROCESSOR)
        return tuple(late)


@dataclass(frozen=True)
class Incidents:
    """All incidents of whose leaves the bodies are at hand, by id, in the order of the log."""

    by_id: Mapping[str, Incident] = field(default_factory=dict)
    said: Said = field(default_factory=Said)

    def after(
        self,
        log: str,
        index: int,
        entry: Entry,
        body: JsonObject,
        agreements: Agreements,
        principals: Principals,
    ) -> "Incidents":
        """Return all, with one leaf more; arguments and errors as `Rights.after`."""
        if entry.type == "incident.report":
            if body.keys() == {"incident"}:
                report = _of_processor(log, entry, body)
                standing = agreements.get(report.agreement)
                if standing is None:
                    raise Refused("NOT_IN_FORCE")
            else:
                report = parse_payload(IncidentReport, envelope := envelope_of(body))
                standing = agreements.signed(report, log, entry, envelope, principals)
            return self._reported(index, entry, report, standing)
        if entry.type == "incident.step":
            step = parse_payload(IncidentStep, envelope := envelope_of(body))
            agreements.signed(step, log, entry, envelope, principals)
            return self._stepped(entry, step)
        raise Refused("UNKNOWN_TYPE")

    def _reported(
        self, index: int, entry: Entry, said: IncidentReport, standing: Standing
    ) -> "Incidents":
        if said.id in self.by_id:
            raise Refused("REPLAYED")
        if said.known - entry.time > _SKEW:
            raise Refused("NOT_YET_RECEIVED")
        hours = standing.agreement.incident
        by_party = {
            party: after_hours(
                said.known if party == said.party else entry.time, hours.notify_hours
            )
            for party in standing.agreement.by_id
        }
        by_processor = None
        if said.party == PROCESSOR:
            by_processor = after_hours(said.known, hours.processor_hours)
        made = Incident(said, entry.time, index, by_processor, by_party)
        return Incidents({**self.by_id, said.id: made}, self.said.after(entry, said))

    def _stepped(self, entry: Entry, said: IncidentStep) -> "Incidents":
        incident = self.by_id.get(said.incident)
        if incident is None or incident.said.agreement != said.agreement:
            raise Refused("NO_SUCH_INCIDENT")
        if said.party not in incident.by_party:
            raise Refused("NOT_A_PARTY")
        if (said.party, said.step) in incident.steps:
            raise Refused("REPLAYED")
        steps = {**incident.steps, (said.party, said.step): entry.time}
        by_id = {**self.by_id, said.incident: replace(incident, steps=steps)}
        return replace(self, by_id=by_id)


def processor_body(report: IncidentReport) -> dict[str, Any]:
    """Return the body of a leaf in which the matcher itself reports."""
    return {"incident": report.model_dump(mode="json")}


def _of_processor(log: str, entry: Entry, body: JsonObject) -> IncidentReport:
    # The matcher signs no documents: its word is the leaf, under its checkpoints.
    try:
        report = IncidentReport.model_validate_json(format_json(body["incident"]))
    except ValidationError as error:
        raise MalformedMessageError("not a report of an incident") from error
    if (entry.actor, report.party) != (PROCESSOR, PROCESSOR):
        raise Refused("NOT_SIGNED")
    if report.log != log:
        raise Refused("OTHER_LOG")
    if report.agreement != entry.agreement:
        raise Refused("OTHER_AGREEMENT")
    return report
