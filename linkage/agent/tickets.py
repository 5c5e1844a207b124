"""Requests of persons about their records: each a ticket, recorded when it came in.

A ticket says what was asked, when it was received, and every step since: who took it, when and
why. The record that it is about stands in the agent's encrypted store and nowhere else. What
follows from a ticket, for the own records and for other parties, is `agent.rights`.

Source: UU 27/2022 art. 6 to 11 and 14; PP 33/2026 art. 92 to 98.
"""

import datetime
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from linkage.agreement.rights import NoticeKind
from linkage.deadlines import Deadline, after_hours
from linkage.errors import DeniedError, NotFoundError
from linkage.store.artefacts import ArtefactStore

Kind = Literal["access", "rectification", "restriction", "objection", "erasure"]
KINDS: tuple[Kind, ...] = get_args(Kind)
State = Literal["received", "applied", "fulfilled", "refused", "lifted"]
Ground = Literal["identity", "no-record", "exemption", "article-33"]
GROUNDS: tuple[Ground, ...] = get_args(Ground)
NOTICE_OF: dict[Kind, NoticeKind] = {
    "rectification": "rectify",
    "restriction": "restrict",
    "objection": "object",
    "erasure": "erase",
}
_NEXT: dict[State, tuple[State, ...]] = {
    "received": ("applied", "fulfilled", "refused"),
    "applied": ("fulfilled", "lifted"),
    "fulfilled": ("lifted",),
    "refused": (),
    "lifted": (),
}
# What can be taken back: a correction or an erasure is done.
_LIFTABLE: frozenset[Kind] = frozenset({"restriction", "objection"})
_UNENCODED: frozenset[Kind] = frozenset({"restriction", "erasure"})
_DATASET, _PREFIX = "rights", "ticket-"
# Under no retention time of artefacts: tickets are records for the archive.
_NEVER = datetime.date(9999, 12, 31)


@dataclass(frozen=True)
class Step:
    """One change of a ticket.

    Attributes:
        state: the state from then on.
        time: when, in UTC.
        officer: id of the official who did it.
        reason: why, in the official's words.
        ground: of a refusal, which of `GROUNDS`.
        exemption: of a refusal by an exemption, its number in the agreement, from 0.
    """

    state: State
    time: datetime.datetime
    officer: str
    reason: str
    ground: Ground | None = None
    exemption: int | None = None


@dataclass(frozen=True)
class Told:
    """A notice about a ticket on its way to another party.

    Attributes:
        agreement: under which.
        notice: its id.
        to: who is told.
        kind: of the notice.
        links: the link ids that it names, in hexadecimal.
        document: the signed notice, as text.
        lifts: of a lift, the id of the notice that it ends.
        leaf: where it is in the log; None while it is not there.
    """

    agreement: str
    notice: str
    to: str
    kind: NoticeKind
    links: tuple[str, ...]
    document: str
    lifts: str | None = None
    leaf: int | None = None


@dataclass(frozen=True)
class Ticket:
    """One request.

    Attributes:
        number: year of its receipt and number in that year.
        kind: what is asked for.
        record_id: the own number of the record.
        received: when it came in, in UTC: where the clock begins.
        steps: from the receipt on, in order.
        told: notices to other parties.
    """

    number: str
    kind: Kind
    record_id: str
    received: datetime.datetime
    steps: tuple[Step, ...]
    told: tuple[Told, ...] = ()

    @property
    def state(self) -> State:
        """The state after the last step."""
        return self.steps[-1].state

    @property
    def deadline(self) -> Deadline:
        """Until when it must be fulfilled or refused: 72 hours from its receipt."""
        return after_hours(self.received)

    @property
    def effective(self) -> bool:
        """Whether it has an effect on the record and its links."""
        states = {step.state for step in self.steps}
        return "applied" in states and "lifted" not in states

    @property
    def told_at(self) -> int | None:
        """The leaf of the first notice in the log; None while none is there."""
        return min((one.leaf for one in self.told if one.leaf is not None), default=None)

    def at(self, *states: State) -> datetime.datetime | None:
        """Return when the ticket first came into one of some states."""
        return next((step.time for step in self.steps if step.state in states), None)

    def overdue(self, now: datetime.datetime) -> bool:
        """Return whether it was not fulfilled or refused in time."""
        return self.deadline.late(self.at("fulfilled", "refused") or now)

    def moved(self, step: Step) -> "Ticket":
        """Return the ticket after one step more.

        Raises:
            DeniedError: the step does not follow from where it is.
        """
        known = step.state in _NEXT[self.state]
        if step.state == "lifted":
            known = known and self.effective and self.kind in _LIFTABLE
        if step.state == "applied":
            known = known and self.kind in NOTICE_OF
        # What has an effect elsewhere first takes effect.
        if step.state == "fulfilled" and self.state == "received":
            known = self.kind == "access"
        if not known:
            raise DeniedError(
                "TICKET_STATE",
                f"ticket {self.number} ({self.kind}) is {self.state}: it cannot become "
                f"{step.state} now",
            )
        if (step.state == "refused") != (step.ground is not None):
            raise DeniedError("TICKET_GROUND", "a refusal, and nothing else, has a ground")
        if (step.ground == "exemption") != (step.exemption is not None):
            raise DeniedError(
                "TICKET_GROUND", "a refusal by an exemption, and no other, names its number"
            )
        return replace(self, steps=(*self.steps, step))


class Tickets:
    """The tickets of an agent, under one agreement or several.

    Args:
        store: the agent's encrypted store.
    """

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store
        store.create(_DATASET, _NEVER)

    def open(
        self,
        kind: Kind,
        record_id: str,
        received: datetime.datetime,
        now: datetime.datetime,
        officer: str,
        reason: str,
    ) -> Ticket:
        """Record a request, and return its ticket.

        Raises:
            DeniedError: it was received later than now.
        """
        if received > now:
            raise DeniedError("TICKET_RECEIPT", "a request is not received in the future")
        with self._store.locked(_DATASET):
            year = f"{received.year:04}"
            numbers = [int(one.number[5:]) for one in self.all() if one.number[:4] == year]
            number = f"{year}-{max(numbers, default=0) + 1:05}"
            step = Step("received", now, officer, reason)
            ticket = Ticket(number, kind, record_id, received, (step,))
            self._write(ticket)
        return ticket

    def all(self) -> list[Ticket]:
        """Return all tickets, in the order of their numbers."""
        names = [name for name in self._store.names(_DATASET) if name.startswith(_PREFIX)]
        return [_parsed(self._store.read(_DATASET, name)) for name in names]

    def get(self, number: str) -> Ticket:
        """Return a ticket.

        Raises:
            NotFoundError: there is none of that number.
        """
        found = next((ticket for ticket in self.all() if ticket.number == number), None)
        if found is None:
            raise NotFoundError(f"no ticket {number}: `padan agent rights list` shows all")
        return found

    def move(self, number: str, step: Step) -> Ticket:
        """Take a ticket one step further; raises as `get` and `Ticket.moved`."""
        with self._store.locked(_DATASET):
            ticket = self.get(number).moved(step)
            self._write(ticket)
        return ticket

    def tell(self, number: str, told: Told) -> None:
        """Keep a notice of a ticket, or where it came into the log."""
        with self._store.locked(_DATASET):
            ticket = self.get(number)
            others = tuple(one for one in ticket.told if one.notice != told.notice)
            self._write(replace(ticket, told=(*others, told)))

    def left_out(self) -> frozenset[str]:
        """Return the records that are not to be encoded."""
        return frozenset(t.record_id for t in self.all() if t.effective and t.kind in _UNENCODED)

    def _write(self, ticket: Ticket) -> None:
        content = json.dumps(asdict(ticket), default=_plain).encode()
        self._store.write(_DATASET, f"{_PREFIX}{ticket.number}", content)


def left_out(store: ArtefactStore) -> frozenset[str]:
    """Return the records of an agent that are not to be encoded."""
    return Tickets(store).left_out()


def _plain(value: object) -> str:
    if not isinstance(value, datetime.datetime):
        raise TypeError(f"no part of a ticket: {type(value).__name__}")
    return value.isoformat()


def _parsed(content: bytes) -> Ticket:
    fields: dict[str, Any] = json.loads(content)
    fields["received"] = datetime.datetime.fromisoformat(fields["received"])
    fields["steps"] = tuple(
        Step(**{**step, "time": datetime.datetime.fromisoformat(step["time"])})
        for step in fields["steps"]
    )
    fields["told"] = tuple(
        Told(**{**told, "links": tuple(told["links"])}) for told in fields["told"]
    )
    return Ticket(**fields)
