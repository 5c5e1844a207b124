"""A request as `decide` sees it, and its answer: plain data."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from linkage.agreement.articles import LEVELS, Level
from linkage.agreement.denial import ALLOWED, Language, outward
from linkage.errors import MalformedMessageError
from linkage.job import COORDINATOR

Action = Literal["submit", "upload", "start", "release", "lookup_grant", "lookup"]
ACTIONS: tuple[Action, ...] = ("submit", "upload", "start", "release", "lookup_grant", "lookup")


@dataclass(frozen=True)
class Flow:
    """A result that a recipient is to get about the records of a source."""

    source: str
    recipient: str
    level: Level


def flows_of(results: Iterable[tuple[str, str, str]]) -> tuple[Flow, ...]:
    """Return the flows that the results of a job's specification stand for.

    Raises:
        MalformedMessageError: a level is none.
    """
    wanted = tuple(results)
    if not {level for _, _, level in wanted} <= set(LEVELS):
        raise MalformedMessageError("results: a level that there is not")
    return tuple(
        Flow(source, recipient, cast("Level", level)) for source, recipient, level in wanted
    )


def released_to(flows: Iterable[Flow], party: str) -> tuple[Flow, ...]:
    """Return the flows that are decided on when a party's result is released.

    What the coordinator is told of a party's records is decided on with that party's own.
    """
    return tuple(
        flow
        for flow in flows
        if flow.recipient == party or (flow.recipient == COORDINATOR and flow.source == party)
    )


@dataclass(frozen=True)
class Request:
    """What is asked, by whom, and when.

    Attributes:
        action: what is to be done. `start` and `release` are the matcher's own acts for a job:
            the caller is then its requester, or the recipient.
        actor: identity of the caller, from its certificate.
        key: SHA-256 of the key (SPKI) of the caller's certificate, in hexadecimal; of the one
            that the job was asked for with, where the caller is not at hand.
        time: now, with its zone.
        agreement: id of the agreement.
        digest: the version that the caller means, in hexadecimal.
        epoch: number of the linkage key.
        schema_id: digest of the linkage schema, in hexadecimal.
        purpose: the purpose code.
        parties: whose records are compared.
        attributes: name and element of all attributes of the schema.
        flows: the results asked for, or released.
        requester: of an upload or a release, the identity of who asked for the job.
        n_records: of an upload, how many.
        candidates: of a second round, the most pairs for a record and counterpart.
        gate: of an upload, the digest of the gate result that speaks for it, in hexadecimal.
        seen_size: size of the last checkpoint that the caller has seen.
        seen_root: its root hash, in hexadecimal.
        log_root: root hash of this log at that size, likewise; "" if it is not so long.
        n_lookups: of a grant asked for, how many.
        window: of a grant asked for, from when until when.
        grant: of a lookup, the id of its grant.
        n_used: of a lookup, how many were made under the grant before.
        cosigned: of a lookup, the size of a checkpoint that all parties of the agreement have
            cosigned.
    """

    action: Action
    actor: str
    key: str
    time: datetime
    agreement: str
    digest: str
    epoch: int
    schema_id: str
    purpose: str
    parties: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...] = ()
    flows: tuple[Flow, ...] = ()
    requester: str = ""
    n_records: int = 0
    candidates: int = 0
    gate: str = ""
    seen_size: int = 0
    seen_root: str = ""
    log_root: str = ""
    n_lookups: int = 0
    window: tuple[datetime, datetime] | None = None
    grant: str = ""
    n_used: int = 0
    cosigned: int = 0

    def __post_init__(self) -> None:
        """Refuse times without a zone: a bug of the caller."""
        if any(time.utcoffset() is None for time in (self.time, *(self.window or ()))):
            raise ValueError("the times of a request have a zone")


@dataclass(frozen=True)
class Decision:
    """The answer.

    Attributes:
        allowed: whether it may be done.
        code: `ALLOWED`, or the reason why not.
        rules: the rules that were applied, or the one that denied.
        leaves: indexes of the leaves that the answer rests on, ascending.
    """

    allowed: bool
    code: str
    rules: tuple[str, ...]
    leaves: tuple[int, ...]

    def outward(self, language: Language = "en") -> tuple[str, str]:
        """Return code and sentence as the caller may see them; the rest is for the log."""
        return (ALLOWED, "") if self.allowed else outward(self.code, language)
