"""What follows from persons' requests: for the own records, and between the parties.

At the owner a ticket that was granted leaves its record out of encodings, gives up its
references, marks the own links, and tells every other party of the agreement. At the other end a
notice marks the links that it names, and is answered. Everything is worked out from tickets and
log, so each step can be repeated, and a `sync` that was cut off is made up for by the next one.

Who learns what: the matcher and auditors learn that one party told another something of a kind
at a time. The other party learns which of its own links are meant, and nothing of why; every
party is told and answers alike, so the owner does not learn who held a link below level R3.
"""

import datetime
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from keys.dsse import parse_envelope, sign
from linkage.agent.delivery import bring_up_to_date
from linkage.agent.marks import STATE_OF, Mark, MarkState, links_of, write_marks
from linkage.agent.noticeseal import MOST_LINKS, open_links, seal_links
from linkage.agent.references import References, references_of
from linkage.agent.session import Session
from linkage.agent.tickets import NOTICE_OF, Step, Ticket, Tickets, Told
from linkage.agreement.model import Agreement
from linkage.agreement.payload import OfParty
from linkage.agreement.refusal import Refused
from linkage.agreement.rights import (
    Notice,
    NoticeKind,
    RightsAnswer,
    RightsNotice,
    exemption_for,
)
from linkage.errors import DeniedError, NotFoundError, VerificationError
from linkage.log.entry import parse_entry
from linkage.store.log_copy import LogSource

_DATASET = "notices"
_NEVER = datetime.date(9999, 12, 31)


class Matcher(LogSource, Protocol):
    """What the matcher's client does for this: `agent.client.MatcherClient`."""

    def submit_document(self, envelope: bytes) -> int:
        """Put a signed document into the log, and return its leaf index."""


@dataclass(frozen=True)
class Synced:
    """What a `sync` did.

    Attributes:
        told: notices that came into the log by it.
        answered: notices of others that were answered by it.
        waiting: notices of others that an official has to answer.
        unreadable: notices whose links were sealed under another key than this epoch's, or are
            none.
        refused: notices, own or others', that the log did not take, or not the answer to them:
            the next `sync` tries again.
        marked: rows of the own result files by what stands against them now.
    """

    told: tuple[str, ...]
    answered: tuple[str, ...]
    waiting: tuple[str, ...]
    unreadable: tuple[str, ...]
    refused: tuple[str, ...]
    marked: Mapping[MarkState, int]


class Rights:
    """Rights at one agent.

    Args:
        session: the agent at work.
        now: the time, with its zone.
    """

    def __init__(self, session: Session, now: datetime.datetime) -> None:
        self._session, self._now = session, now.astimezone(datetime.UTC).replace(microsecond=0)
        self._party, self._agreement_id = session.config.party, session.config.agreement.id
        self.tickets = Tickets(session.store)
        session.store.create(_DATASET, _NEVER)

    def apply(self, number: str, officer: str, reason: str) -> Ticket:
        """Grant a request: from now on it has its effect here; `sync` tells the others.

        Raises:
            NotFoundError: no such ticket.
            DeniedError: the ticket is not waiting to be granted.
        """
        step = Step("applied", self._now, officer, reason)
        ticket = self.tickets.get(number).moved(step)
        # First: a ticket that says that it was granted has had its effect here.
        if ticket.kind in ("rectification", "erasure"):
            agreement, store = self._session.config.agreement, self._session.store
            for epoch in range(1, agreement.epoch + 1):
                named = agreement.model_copy(update={"epoch": epoch})
                # That of an older key may still serve what was begun, until its end has come.
                with suppress(NotFoundError):
                    if not store.exists(references_of(named)):
                        continue
                    References(store, named, datetime.date.max).revoke([ticket.record_id])
        return self.tickets.move(number, step)

    def refuse(self, number: str, step: Step, source: Matcher) -> Ticket:
        """Refuse a request; by an exemption only where it is valid and lifts this duty.

        Raises:
            NotFoundError: no such ticket.
            DeniedError: the ticket is not open, or the exemption does not hold.
        """
        ticket = self.tickets.get(number)
        if step.exemption is not None:
            if ticket.kind == "access":
                raise DeniedError("EXEMPTION_OTHER_DUTY", "article 15 does not lift art. 7")
            self._session.mirror.update(source)
            self._check_exemption(step.exemption, NOTICE_OF[ticket.kind])
        return self.tickets.move(number, step)

    def update(self, matcher: Matcher) -> None:
        """Read what is new in the log."""
        self._session.mirror.update(matcher)

    def received(self) -> list[Notice]:
        """Return the notices that other parties sent to this one, in the order of the log."""
        return [one for one in self._notices() if one.said.to == self._party]

    def sent(self) -> list[Notice]:
        """Return the notices that this party sent, in the order of the log."""
        return [one for one in self._notices() if one.said.party == self._party]

    def withheld(self) -> int:
        """Return of how many leaves about this agreement the matcher gave no body."""
        mirror, own = self._session.mirror, self._agreement_id
        return sum(
            entry.agreement == own and mirror.state.agreements.is_for(own, self._party, index)
            for index, entry in mirror.withheld.items()
        )

    def answer(self, notice: str, exemption: int | None, matcher: Matcher) -> int:
        """Answer a notice by an official's decision; return the leaf of the answer.

        Args:
            notice: its id.
            exemption: number of the exemption by which it is refused; None where it was done.
            matcher: takes the answer.

        Raises:
            NotFoundError: no such notice came.
            DeniedError: it is answered, or the exemption does not hold.
        """
        self._session.mirror.update(matcher)
        found = next((one for one in self.received() if one.said.id == notice), None)
        if found is None:
            raise NotFoundError(f"no notice {notice} came: `padan agent rights list` shows all")
        if exemption is not None:
            self._check_exemption(exemption, found.said.kind)
        leaf = matcher.submit_document(self._answer(found, exemption))
        self._session.mirror.update(matcher)
        return leaf

    def sync(self, matcher: Matcher) -> Synced:
        """Read what others told, mark the own links, answer, and tell others what is due.

        Raises:
            VerificationError: the log does not hold.
            DeniedError: the agreement was never in force.
            RecordError: results could not be brought where the settings say; all else is done.
        """
        mirror = self._session.mirror
        mirror.update(matcher)
        # On disk before anything is sent: whatever becomes of the line, the rows have their state,
        # and what they named is in the notices.
        with self._session.store.locked(_DATASET):
            self._write_due()
        marked = self._write_marks()
        try:
            # Between parties head offices speak; their offices heed what is said.
            if self._session.identity.role == "office":
                return Synced((), (), (), (), (), marked)
            return self._exchange(matcher, marked)
        finally:
            # Last: a place that cannot be written stops no clock. It is tried again.
            self._bring()

    def _exchange(self, matcher: Matcher, marked: dict[MarkState, int]) -> Synced:
        """Tell others what is due, and answer them; one that is refused stops none of the rest."""
        told, refused = self._tell(matcher)
        answered, waiting, unreadable = list[str](), list[str](), list[str]()
        for notice in self.received():
            if notice.answer is not None:
                continue
            # A party that seals nonsense must stop nobody's work; its notice stays open.
            if self._links_in(notice.said) is None:
                unreadable.append(notice.said.id)
                continue
            # Where an exemption might lift the duty, an official decides; until then it is kept.
            if self._may_refuse(notice.said.kind):
                waiting.append(notice.said.id)
                continue
            try:
                matcher.submit_document(self._answer(notice, None))
            except DeniedError:
                refused.append(notice.said.id)
            else:
                answered.append(notice.said.id)
        if told or answered:
            self._session.mirror.update(matcher)
        if answered:
            # An erasure takes its rows only now.
            marked = self._write_marks()
        return Synced(
            tuple(told),
            tuple(answered),
            tuple(waiting),
            tuple(unreadable),
            tuple(refused),
            marked,
        )

    def mark(self) -> dict[MarkState, int]:
        """Write into the own result files what stands against their rows now.

        Where results were brought to by the settings, they are brought again.

        Raises:
            RecordError: a place cannot be written: the next call tries again.
        """
        counts = self._write_marks()
        self._bring()
        return counts

    def _write_marks(self) -> dict[MarkState, int]:
        marks = [*self._own_marks(), *self._others_marks()]
        asked = self._asked() if any(mark.before is not None for mark in marks) else {}
        config = self._session.config
        # A run and a timer may be here at once.
        with self._session.store.locked(_DATASET):
            return write_marks(config.work / "results", marks, asked)

    def _bring(self) -> None:
        config = self._session.config
        bring_up_to_date(config.result, config.work)

    def _own_marks(self) -> Iterator[Mark]:
        for ticket in self.tickets.all():
            if ticket.effective and ticket.kind in NOTICE_OF:
                state = STATE_OF[NOTICE_OF[ticket.kind]]
                # Until others were told, no job can have come after it.
                before = ticket.told_at if state == "invalid" else None
                yield Mark(state, record_id=ticket.record_id, before=before)

    def _others_marks(self) -> Iterator[Mark]:
        for notice in self.received():
            said, refused = notice.said, notice.answer and notice.answer.outcome == "refused"
            if said.kind == "lift" or notice.lifted is not None or refused:
                continue
            state = STATE_OF[said.kind]
            # Nothing brings a row back: it goes with the answer that says so, not before. Until
            # then an official may refuse, and the line may break.
            if state == "erased" and notice.answer is None:
                state = "frozen"
            before = notice.leaf if state == "invalid" else None
            links = frozenset(self._links_in(said) or ())
            yield Mark(state, counterpart=said.party, links=links, before=before)
            yield Mark("recheck", counterpart=said.party, before=notice.leaf)

    def _links_in(self, said: RightsNotice) -> tuple[str, ...] | None:
        """Return the link ids of a notice, kept from when they were first read.

        None where it was sealed under another key: that of another epoch, or of no party.
        """
        store, session = self._session.store, self._session
        if said.id not in store.names(_DATASET):
            own = said.epoch == session.config.agreement.epoch
            key = session.key if own else session.key_of(said.epoch)
            if key is None:
                return None
            try:
                links = [link.hex() for link in open_links(key, said)]
            except VerificationError:
                return None
            finally:
                if not own:
                    key.wipe()
            store.write(_DATASET, said.id, json.dumps(links).encode())
        return tuple(json.loads(store.read(_DATASET, said.id)))

    def _asked(self) -> dict[str, int]:
        """Return the leaf that asked for each job of this agreement."""
        copy, asked = self._session.mirror.copy, dict[str, int]()
        for index, leaf in enumerate(copy.leaves(copy.size)):
            entry = parse_entry(leaf)
            if (entry.type, entry.agreement) == ("job.request", self._agreement_id):
                asked[str((copy.body(index) or {}).get("job"))] = index
        return asked

    def _write_due(self) -> None:
        """Write the notices that are due of the own tickets; `_tell` brings them to the log."""
        tickets = [ticket for ticket in self.tickets.all() if ticket.kind in NOTICE_OF]
        held = links_of(
            self._session.config.work / "results", {t.record_id for t in tickets if t.effective}
        )
        asked = self._asked() if any(t.kind == "rectification" for t in tickets) else {}
        for ticket in tickets:
            before = ticket.told_at if ticket.kind == "rectification" else None
            links: dict[str, set[str]] = {other: set() for other in self._others()}
            for job, counterpart, link in held.get(ticket.record_id, ()):
                # A job that was asked for since compared the corrected record.
                new = before is not None and asked.get(job, -1) > before
                if counterpart in links and not new:
                    links[counterpart].add(link)
            for due in self._due(ticket, links):
                self.tickets.tell(ticket.number, due)

    def _tell(self, matcher: Matcher) -> tuple[list[str], list[str]]:
        """Bring what was written into the log; return what is new there, and what was refused."""
        there, others = {one.said.id: one.leaf for one in self.sent()}, set(self._others())
        told, refused = list[str](), list[str]()
        for ticket in self.tickets.all():
            for notice in ticket.told:
                if notice.agreement != self._agreement_id or notice.leaf is not None:
                    continue
                leaf = there.get(notice.notice)
                if leaf is None:
                    # Nobody tells a party that has left.
                    if notice.to not in others:
                        continue
                    try:
                        leaf = matcher.submit_document(self._signed_anew(notice.document))
                    except DeniedError:
                        refused.append(notice.notice)
                        continue
                    told.append(notice.notice)
                self.tickets.tell(ticket.number, replace(notice, leaf=leaf))
        return told, refused

    def _signed_anew(self, document: str) -> bytes:
        """Return a document under the key of today: the same bytes, unless the key was changed."""
        before = parse_envelope(document.encode())
        return sign(before.payload_type, before.payload, [self._session.signer]).to_bytes()

    def _due(self, ticket: Ticket, links: Mapping[str, set[str]]) -> Iterator[Told]:
        """Yield the notices of a ticket that are to be written now."""
        mine = [one for one in ticket.told if one.agreement == self._agreement_id]
        if ticket.at("lifted") is not None:
            lifted = {one.lifts for one in mine}
            for before in mine:
                if before.to in links and before.kind != "lift" and before.notice not in lifted:
                    yield self._notice(ticket, before.to, "lift", (), before.notice)
            return
        if not ticket.effective:
            return
        for other, held in links.items():
            to_other = [one for one in mine if one.to == other]
            new = sorted(held.difference(*(one.links for one in to_other)))
            # The first notice goes to everybody, whether or not it names a link.
            if to_other and not new:
                continue
            for start in range(0, max(len(new), 1), MOST_LINKS):
                part = new[start : start + MOST_LINKS]
                yield self._notice(ticket, other, NOTICE_OF[ticket.kind], part, None)

    def _notice(
        self,
        ticket: Ticket,
        to: str,
        kind: NoticeKind,
        links: Sequence[str],
        lifts: str | None,
    ) -> Told:
        name, session = os.urandom(16).hex(), self._session
        first = not any(one.to == to for one in ticket.told)
        said = RightsNotice(
            log=session.mirror.state.log,
            agreement=self._agreement_id,
            id=name,
            party=self._party,
            to=to,
            kind=kind,
            # What comes to light later could not be told within the clock of the request.
            received=ticket.received if first else self._now,
            lifts=lifts,
            epoch=session.config.agreement.epoch,
            sealed=seal_links(
                session.key,
                (name, self._party, to),
                [bytes.fromhex(link) for link in links],
                os.urandom,
            ),
        )
        document = self._signed(said).decode()
        return Told(self._agreement_id, name, to, kind, tuple(links), document, lifts)

    def _answer(self, notice: Notice, exemption: int | None) -> bytes:
        return self._signed(
            RightsAnswer(
                log=self._session.mirror.state.log,
                agreement=self._agreement_id,
                notice=notice.said.id,
                party=self._party,
                outcome="done" if exemption is None else "refused",
                exemption=exemption,
            )
        )

    def _signed(self, said: OfParty) -> bytes:
        return sign(said.TYPE, said.to_bytes(), [self._session.signer]).to_bytes()

    def _notices(self) -> list[Notice]:
        notices = self._session.mirror.state.rights.notices.values()
        return [one for one in notices if one.said.agreement == self._agreement_id]

    def _others(self) -> list[str]:
        return [party for party in self._agreed().by_id if party != self._party]

    def _agreed(self) -> Agreement:
        standing = self._session.mirror.state.agreements.get(self._agreement_id)
        if standing is None:
            raise DeniedError(
                "AGREEMENT_NOT_ACTIVE", f"{self._agreement_id} was never in force in this log"
            )
        return standing.agreement

    def _may_refuse(self, kind: NoticeKind) -> bool:
        numbers = range(len(self._agreed().exemptions))
        return any(self._lifts(number, kind) for number in numbers)

    def _lifts(self, number: int, kind: NoticeKind) -> bool:
        try:
            exemption_for(self._agreed(), number, kind, self._now)
        except Refused:
            return False
        return True

    def _check_exemption(self, number: int, kind: NoticeKind) -> None:
        try:
            exemption_for(self._agreed(), number, kind, self._now)
        except Refused as refused:
            raise DeniedError(
                refused.code,
                f"exemption {number} of {self._agreement_id} does not lift this duty now: "
                "`padan agreement show` has those that were agreed",
            ) from refused
