"""The clocks of the law in a log: which notice or incident was not answered in time, by whom.

Read from the leaves of a verified bundle, like the report; without their bodies there is nothing
to read.
"""

from dataclasses import dataclass
from datetime import datetime

from linkage.agreement.state import replay
from linkage.audit.verify import Contents


@dataclass(frozen=True)
class Clock:
    """One duty and its time.

    Attributes:
        what: `rights.` with the kind of the notice, or `incident`.
        id: of the notice or incident.
        agreement: under which.
        party: whose duty it is; `matcher` for the processor.
        began: when the clock began: the receipt of the request, or when it was known.
        due: until when.
        done: when it was done; None while it is open.
        outcome: of a notice, the answer; of a refusal the exemption it relies on.
        overdue: whether it was not done in time.
        leaf: the leaf that began it.
    """

    what: str
    id: str
    agreement: str
    party: str
    began: datetime
    due: datetime
    done: datetime | None
    outcome: str
    overdue: bool
    leaf: int


def read_clocks(contents: Contents, now: datetime) -> list[Clock]:
    """Return all clocks of a log, in the order of the leaves that began them."""
    state = replay(contents.entries, contents.bodies)
    clocks = []
    for notice in state.rights.notices.values():
        said, answer = notice.said, notice.answer
        outcome = answer.outcome if answer else ""
        if answer and answer.exemption:
            outcome += f": {answer.exemption.article}, {answer.exemption.letter}"
        clocks.append(
            Clock(
                f"rights.{said.kind}", said.id, said.agreement, said.to, said.received,
                notice.deadline.due, answer.time if answer else None, outcome,
                notice.overdue(now), notice.leaf,
            )
        )  # fmt: skip
    for incident in state.incidents.by_id.values():
        report, late = incident.said, incident.overdue(now)
        owed = dict(incident.by_party)
        done = {party: incident.done(party) for party in owed}
        if incident.by_processor is not None:
            owed[report.party] = incident.by_processor
            done[report.party] = incident.reported
        clocks += [
            Clock(
                "incident", report.id, report.agreement, party, report.known, deadline.due,
                done[party], "", party in late, incident.leaf,
            )
            for party, deadline in owed.items()
        ]  # fmt: skip
    return sorted(clocks, key=lambda clock: clock.leaf)
