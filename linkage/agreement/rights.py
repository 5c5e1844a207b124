"""Rights of persons: what one party of an agreement tells another about a record, and the answer.

The owner of a record tells each other party of the agreement (`rights.notice`), which freezes,
suspends or gives up what it holds of the record, and answers (`rights.answer`). Which links are
meant is sealed under the linkage key (`agent.noticeseal`), so neither the matcher nor an auditor
reads it; kind, times and parties are for the parties of that agreement and for auditors. Every
party is told and answers alike, whether it holds a link or not.

The clock of a notice runs from the receipt of the person's request at the owner, as UU 27/2022
art. 6 and 14 have it. A refusal names an exemption of the agreement that lifts the duty and has
not expired; without one there is none (art. 15 and 50).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from linkage.agreement.articles import Exemption
from linkage.agreement.model import Agreement
from linkage.agreement.payload import OfParty, Time, envelope_of, parse_payload
from linkage.agreement.principals import Principals
from linkage.agreement.refusal import Refused
from linkage.agreement.said import Said
from linkage.agreement.standing import Agreements, Standing
from linkage.agreement.usage import day_of
from linkage.agreement.values import PartyId
from linkage.deadlines import Deadline, after_hours
from linkage.errors import MalformedMessageError
from linkage.log.canonical import JsonObject, decode_base64
from linkage.log.entry import Entry

NoticeKind = Literal["rectify", "restrict", "object", "erase", "lift"]
NOTICE_KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)
# A clock may be so far ahead of the log's.
_SKEW = timedelta(minutes=5)
_ID = re.compile(r"[0-9a-f]{32}")
_ARTICLE = re.compile(r"\d+")
MAX_SEALED_BYTES = 8_192
# What an exemption lifts: article 15 the rights of art. 8, 10 and 11, and article 50 duties of
# art. 30 and 42 to 45. Access (art. 7) no refusal of a notice can touch.
_LIFTS: Mapping[str, frozenset[NoticeKind]] = {
    "15": frozenset({"object", "restrict", "erase"}),
    "50": frozenset({"rectify", "erase"}),
}


def _notice_id(text: str) -> str:
    if _ID.fullmatch(text) is None:
        raise ValueError("the id of a notice is 32 hexadecimal digits in lower case")
    return text


def _sealed(text: str) -> str:
    try:
        length = len(decode_base64(text))
    except MalformedMessageError as error:
        raise ValueError("what is sealed is base64") from error
    if not 0 < length <= MAX_SEALED_BYTES:
        raise ValueError(f"what is sealed has 1 to {MAX_SEALED_BYTES} bytes")
    return text


NoticeId = Annotated[str, AfterValidator(_notice_id)]
Sealed = Annotated[str, AfterValidator(_sealed)]


class RightsNotice(OfParty):
    """What the owner of a record tells one other party; signed by the owner.

    Attributes:
        id: drawn for this notice; says nothing of the request or the person.
        to: who is told.
        kind: `lift` ends an earlier notice.
        received: when the request came in: where the clock begins.
        lifts: of a lift, the id of the notice that it ends.
        epoch: of the linkage key under which the names of the links are sealed.
        sealed: the names of the links, for the parties of the agreement alone.
    """

    TYPE = "application/vnd.padan.rights.notice+json"

    id: NoticeId
    to: PartyId
    kind: NoticeKind
    received: Time
    lifts: NoticeId | None = None
    epoch: Annotated[int, Field(ge=1, lt=2**32)]
    sealed: Sealed


class RightsAnswer(OfParty):
    """What the party that was told did; signed by it.

    Attributes:
        notice: its id.
        outcome: `done` says that nothing of the record is used any more but as the notice
            allows, whether or not there was anything.
        exemption: of a refusal, its number among the exemptions of the agreement, from 0.
    """

    TYPE = "application/vnd.padan.rights.answer+json"

    notice: NoticeId
    outcome: Literal["done", "refused"]
    exemption: Annotated[int, Field(ge=0, lt=16)] | None = None


@dataclass(frozen=True)
class Answer:
    """An answer that is in the log.

    Attributes:
        outcome: `done` or `refused`.
        exemption: what a refusal relies on.
        time: when it was logged.
        leaf: where.
    """

    outcome: str
    exemption: Exemption | None
    time: datetime
    leaf: int


@dataclass(frozen=True)
class Notice:
    """A notice that is in the log.

    Attributes:
        said: what was signed.
        deadline: until when it must have been answered.
        told: when it was logged.
        leaf: where.
        answer: of the party that was told; None while there is none.
        lifted: the leaf of the notice that ended it.
    """

    said: RightsNotice
    deadline: Deadline
    told: datetime
    leaf: int
    answer: Answer | None = None
    lifted: int | None = None

    def overdue(self, now: datetime) -> bool:
        """Return whether it was not answered in time: not by now, or too late."""
        return self.deadline.late(now if self.answer is None else self.answer.time)


@dataclass(frozen=True)
class Rights:
    """All notices of whose leaves the bodies are at hand, by id, in the order of the log."""

    notices: Mapping[str, Notice] = field(default_factory=dict)
    said: Said = field(default_factory=Said)

    def after(
        self,
        log: str,
        index: int,
        entry: Entry,
        body: JsonObject,
        agreements: Agreements,
        principals: Principals,
    ) -> "Rights":
        """Return all, with one leaf more.

        Args:
            log: origin of the log.
            index: the leaf's index.
            entry: the leaf.
            body: what it committed to, which the caller has checked.
            agreements: what is and was in force.
            principals: who is enrolled.

        Raises:
            MalformedMessageError: the body holds no such document.
            Refused: it does not count.
        """
        envelope = envelope_of(body)
        match entry.type:
            case "rights.notice":
                said = parse_payload(RightsNotice, envelope)
                standing = agreements.signed(said, log, entry, envelope, principals)
                return self._noticed(index, entry, said, standing)
            case "rights.answer":
                answer = parse_payload(RightsAnswer, envelope)
                standing = agreements.signed(answer, log, entry, envelope, principals)
                return self._answered(index, entry, answer, standing)
        raise Refused("UNKNOWN_TYPE")

    def _noticed(
        self, index: int, entry: Entry, said: RightsNotice, standing: Standing
    ) -> "Rights":
        agreement = standing.agreement
        if said.to not in agreement.by_id or said.to == said.party:
            raise Refused("NOT_A_PARTY")
        if said.id in self.notices:
            raise Refused("REPLAYED")
        if said.received - entry.time > _SKEW:
            raise Refused("NOT_YET_RECEIVED")
        notices = dict(self.notices)
        if (said.lifts is not None) != (said.kind == "lift"):
            raise Refused("MALFORMED")
        if said.lifts is not None:
            before = notices.get(said.lifts)
            if before is None or _about(before.said) != _about(said):
                raise Refused("NO_SUCH_NOTICE")
            if before.lifted is not None:
                raise Refused("NO_CHANGE")
            notices[said.lifts] = replace(before, lifted=index)
        deadline = after_hours(said.received, agreement.rights.hours)
        notices[said.id] = Notice(said, deadline, entry.time, index)
        return Rights(notices, self.said.after(entry, said))

    def _answered(
        self, index: int, entry: Entry, said: RightsAnswer, standing: Standing
    ) -> "Rights":
        notice = self.notices.get(said.notice)
        if notice is None or (notice.said.agreement, notice.said.to) != (
            said.agreement,
            said.party,
        ):
            raise Refused("NO_SUCH_NOTICE")
        if notice.answer is not None:
            raise Refused("REPLAYED")
        exemption = None
        if said.outcome == "refused":
            exemption = exemption_for(
                standing.agreement, said.exemption, notice.said.kind, entry.time
            )
        elif said.exemption is not None:
            raise Refused("MALFORMED")
        answer = Answer(said.outcome, exemption, entry.time, index)
        notices = {**self.notices, said.notice: replace(notice, answer=answer)}
        return replace(self, notices=notices)


def exemption_for(
    agreement: Agreement, number: int | None, kind: NoticeKind, time: datetime
) -> Exemption:
    """Return the exemption that a refusal relies on.

    Args:
        agreement: the version in force.
        number: of the exemption in it, from 0.
        kind: what is refused.
        time: when.

    Raises:
        Refused: there is no such exemption, it has expired, or it does not lift this duty.
    """
    if number is None or number >= len(agreement.exemptions):
        raise Refused("EXEMPTION_UNKNOWN")
    exemption = agreement.exemptions[number]
    if day_of(time) > exemption.expires_on:
        raise Refused("EXEMPTION_EXPIRED")
    article = _ARTICLE.search(exemption.article)
    if kind not in _LIFTS.get(article[0] if article else "", frozenset()):
        raise Refused("EXEMPTION_OTHER_DUTY")
    return exemption


def _about(said: RightsNotice) -> tuple[str, str, str]:
    return said.agreement, said.party, said.to
