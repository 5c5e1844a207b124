"""What a job is: its specification, its states, and what is told of it.

Plain data, shared by agents and matcher; the rules that move a job from state to
state are the matcher's.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

import rfc8785

from linkage.blockentry import MAX_ENTRIES
from linkage.errors import KeyMismatchError, MalformedMessageError, SchemaMismatchError
from linkage.schema import (
    LEAST_TOKEN_BYTES,
    MAX_ATTRIBUTES,
    MAX_CANDIDATES,
    TOKEN_MARGIN_BITS,
    Cardinality,
    Scheme,
)
from linkage.types import ATTRIBUTE_TYPES

SCHEMES: tuple[Scheme, ...] = ("clk", "diffused", "saul")
MAX_CODE_BITS = 32_768
DIGEST_BYTES = 32
KEY_CHECK_BYTES = 8
REFERENCE_BYTES = 16
EXACT_TOKEN_BYTES = 16
MAX_BLOCK_COPIES = 16
MAX_BLOCK_BYTES = 8
MAX_EXACT_SLOTS = 8
# Pairs of each record that are drawn at random, to learn how often strangers agree.
DRAWN_PER_RECORD = 2
# Who may get counts of any job, beside its parties.
COORDINATOR = "coordinator"
RESULT_LEVELS = ("R0", "R1", "R2", "R3", "R4")
MAX_PARTIES = 16
# What a requester signs that it calls.
REQUEST_METHOD = "/linkage.v1.JobService/RequestJob"
MAX_COLLECT_S = 30 * 86_400
PARTY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
AGREEMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9./-]{0,63}")
ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class JobState(Enum):
    """Where a job is on its way. The last five are final."""

    REQUESTED = "requested"
    AUTHORISED = "authorised"
    COLLECTING = "collecting"
    PLANNED = "planned"
    COMPARING = "comparing"
    REFINING = "refining"
    SCORING = "scoring"
    NAMING = "naming"
    SOLVING = "solving"
    AWAITING_COSIGNATURES = "awaiting_cosignatures"
    RELEASED = "released"
    DENIED = "denied"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job moves no more."""
        return self in _FINAL


_FINAL = frozenset(
    {
        JobState.RELEASED,
        JobState.DENIED,
        JobState.FAILED,
        JobState.EXPIRED,
        JobState.CANCELLED,
    }
)


@dataclass(frozen=True)
class CodeId:
    """What codes must share to be comparable.

    Attributes:
        schema_id: digest of the resolved linkage schema, 32 bytes.
        epoch: epoch of the linkage key.
        key_check: derived from the linkage key; tells a wrong one, 8 bytes.
        scheme: how codes are made.
        code_bits: length of a code.
        block_entries: entries of block tokens.
        block_copies: tokens of each record, entry and other party.
        block_bytes: length of a block token.
        exact_slots: exact tokens of each record.
    """

    schema_id: bytes
    epoch: int
    key_check: bytes
    scheme: Scheme
    code_bits: int
    block_entries: int = 0
    block_copies: int = 0
    block_bytes: int = 0
    exact_slots: int = 0

    @property
    def hardened(self) -> bool:
        """Whether codes are compared by agreement rather than by Dice."""
        return self.scheme != "clk"

    @property
    def record_bytes(self) -> int:
        """Length of a record in a chunk: its reference, code and exact tokens."""
        return REFERENCE_BYTES + self.code_bits // 8 + self.exact_slots * EXACT_TOKEN_BYTES

    @property
    def token_row_bytes(self) -> int:
        """Length of a record's block tokens of one entry and other party."""
        return self.block_copies * self.block_bytes

    @property
    def most_records(self) -> int:
        """How many records the length of block tokens is meant for: few meet by chance."""
        return 1 << (8 * self.block_bytes - TOKEN_MARGIN_BITS) if self.block_entries else 2**31

    @property
    def form(self) -> tuple[Scheme, int, int, int, int, int]:
        """How a record is built, which follows from the schema."""
        return (
            self.scheme,
            self.code_bits,
            self.block_entries,
            self.block_copies,
            self.block_bytes,
            self.exact_slots,
        )

    @property
    def rules(self) -> dict[str, bool]:
        """What must hold of every field, in words, and whether it does."""
        return {
            "schema_id (32 bytes)": len(self.schema_id) == DIGEST_BYTES,
            "epoch (1 or more)": self.epoch >= 1,
            "key_check (8 bytes)": len(self.key_check) == KEY_CHECK_BYTES,
            "scheme": self.scheme in SCHEMES,
            f"code_bits (512 to {MAX_CODE_BITS}, multiple of 64)": 512
            <= self.code_bits
            <= MAX_CODE_BITS
            and self.code_bits % 64 == 0,
            f"block_entries (0 to {MAX_ENTRIES + MAX_EXACT_SLOTS})": 0
            <= self.block_entries
            <= MAX_ENTRIES + MAX_EXACT_SLOTS,
            f"block_copies (0 to {MAX_BLOCK_COPIES})": 0 <= self.block_copies <= MAX_BLOCK_COPIES,
            f"block_bytes (0 to {MAX_BLOCK_BYTES})": 0 <= self.block_bytes <= MAX_BLOCK_BYTES,
            f"block_bytes ({LEAST_TOKEN_BYTES} or more, with entries)": not self.block_entries
            or self.block_bytes >= LEAST_TOKEN_BYTES,
            "block_copies and block_bytes (both or neither, as there are entries)": bool(
                self.block_entries
            )
            == bool(self.token_row_bytes),
            f"exact_slots (0 to {MAX_EXACT_SLOTS})": 0 <= self.exact_slots <= MAX_EXACT_SLOTS,
        }

    def check(self) -> None:
        """Check every field.

        Raises:
            MalformedMessageError: naming every field that is wrong.
        """
        wrong = [name for name, right in self.rules.items() if not right]
        if wrong:
            raise MalformedMessageError(f"codes: not acceptable: {', '.join(wrong)}")

    def check_same(self, other: "CodeId", whose: str) -> None:
        """Check that codes of this kind can be compared with others.

        Args:
            other: the other kind.
            whose: whom the other kind belongs to, for the error.

        Raises:
            SchemaMismatchError: encoded under another schema, scheme or length.
            KeyMismatchError: encoded under another key or epoch.
        """
        if (self.schema_id, self.form) != (other.schema_id, other.form):
            raise SchemaMismatchError(
                f"another linkage schema than {whose}: compare the schema ids that "
                "'padan schema show' prints at both, and encode again under the agreed schema"
            )
        if (self.epoch, self.key_check) != (other.epoch, other.key_check):
            raise KeyMismatchError(
                f"another linkage key or epoch than {whose}: compare the key check values of "
                "this agreement and epoch, and encode again under the agreed key"
            )


@dataclass(frozen=True)
class Refinement:
    """The second round of a job.

    Attributes:
        candidates: how many pairs with each other party an owner is asked about for each
            of its records, on average and at most.
        decoys: whether it is asked about so many whoever met.
        types: type of each attribute, in the order of the schema, identifiers left out.
        identifiers: type of each identifier, in their order.
    """

    candidates: int
    decoys: bool
    types: tuple[str, ...]
    identifiers: tuple[str, ...] = ()

    @property
    def pairs_per_record(self) -> int:
        """How many pairs with one other party an owner answers for each record at most."""
        return self.candidates + DRAWN_PER_RECORD


@dataclass(frozen=True)
class JobSpec:
    """What all parties of a job must agree on before anything is compared.

    Attributes:
        agreement_id: the agreement the job runs under.
        agreement_sha256: the version of it that is meant, 32 bytes.
        purpose: its purpose code.
        attributes: name and element of each attribute of the schema.
        parties: who takes part, in the order of the agreement.
        codes: what their codes must share.
        threshold: lowest similarity of a link; with a refinement its lowest probability.
        cardinality: how many records of each party may be one person.
        collect_timeout_s: seconds that the parties have to upload, and to answer in
            the second round.
        refinement: the second round; None where codes decide.
        results: source, recipient and level of each result: what who is told of whose
            records. Nothing is told that does not stand here.
    """

    agreement_id: str
    agreement_sha256: bytes
    purpose: str
    attributes: tuple[tuple[str, str], ...]
    parties: tuple[str, ...]
    codes: CodeId
    threshold: float
    cardinality: Cardinality
    collect_timeout_s: int
    refinement: Refinement | None = None
    results: tuple[tuple[str, str, str], ...] = ()

    def told(self, recipient: str) -> dict[str, str]:
        """Return at which level a recipient is told of each source's records."""
        return {source: level for source, to, level in self.results if to == recipient}

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values: what is signed, and what the log keeps."""
        fields = asdict(self)
        fields["agreement_sha256"] = self.agreement_sha256.hex()
        fields["codes"] |= {
            "schema_id": self.codes.schema_id.hex(),
            "key_check": self.codes.key_check.hex(),
        }
        # Numbers that are not whole have more than one spelling.
        fields["threshold"] = repr(self.threshold)
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "JobSpec":
        """Return the specification that `to_json` wrote; it is not checked.

        Raises:
            MalformedMessageError: it wrote none of this form.
        """
        try:
            codes, refinement = dict(fields["codes"]), fields["refinement"]
            for name in ("schema_id", "key_check"):
                codes[name] = bytes.fromhex(codes[name])
            if refinement is not None:
                lists = {name: tuple(refinement[name]) for name in ("types", "identifiers")}
                refinement = Refinement(**{**refinement, **lists})
            own = {
                "agreement_sha256": bytes.fromhex(fields["agreement_sha256"]),
                "attributes": tuple((name, element) for name, element in fields["attributes"]),
                "parties": tuple(fields["parties"]),
                "codes": CodeId(**codes),
                "threshold": float(fields["threshold"]),
                "refinement": refinement,
                # Jobs from before results were named tell nobody anything.
                "results": tuple((a, b, level) for a, b, level in fields.get("results", ())),
            }
            return cls(**{**fields, **own})
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedMessageError("a job specification that is none") from error

    def to_bytes(self) -> bytes:
        """Return the canonical JSON of it."""
        return rfc8785.dumps(self.to_json())

    def check(self) -> None:
        """Check every field by itself and against the others.

        Raises:
            MalformedMessageError: naming every field that is wrong.
        """
        wrong = [name for name, right in self._rules().items() if not right]
        if wrong:
            raise MalformedMessageError(f"job specification: not acceptable: {', '.join(wrong)}")

    def _rules(self) -> dict[str, bool]:
        return {
            # Both stand in leaves of the log for ever: nothing of a person fits into them.
            "agreement_id (letters, digits, full stop, slash, dash)": bool(
                AGREEMENT_ID.fullmatch(self.agreement_id)
            ),
            "agreement_sha256 (32 bytes)": len(self.agreement_sha256) == DIGEST_BYTES,
            "purpose (letters, digits, full stop, slash, dash)": bool(
                AGREEMENT_ID.fullmatch(self.purpose)
            ),
            f"attributes (1 to {MAX_ATTRIBUTES} names with their elements, each once)": 1
            <= len(self.attributes)
            <= MAX_ATTRIBUTES
            and len(dict(self.attributes)) == len(self.attributes)
            and all(ATTRIBUTE_NAME.fullmatch(word) for pair in self.attributes for word in pair),
            f"parties (2 to {MAX_PARTIES} names, each once)": 2 <= len(self.parties) <= MAX_PARTIES
            and len(set(self.parties)) == len(self.parties)
            and all(PARTY_NAME.fullmatch(party) for party in self.parties),
            **self.codes.rules,
            "threshold (above 0, at most 1)": 0 < self.threshold <= 1,
            f"collect_timeout_s (1 to {MAX_COLLECT_S})": 1
            <= self.collect_timeout_s
            <= MAX_COLLECT_S,
            "results (each source and recipient once, both of the job, and a level)": len(
                {(source, recipient) for source, recipient, _ in self.results}
            )
            == len(self.results)
            and all(
                source in self.parties
                and recipient in (*self.parties, COORDINATOR)
                and source != recipient
                and level in RESULT_LEVELS
                for source, recipient, level in self.results
            ),
            "results (no more than R0 for the coordinator)": all(
                level == "R0" for level in self.told(COORDINATOR).values()
            ),
            "results (R2 with two rounds only: codes are compared as a whole)": bool(
                self.refinement
            )
            or all(level != "R2" for _, _, level in self.results),
            **self._rules_of_refinement(),
        }

    def _rules_of_refinement(self) -> dict[str, bool]:
        refinement = self.refinement
        if refinement is None:
            return {}
        return {
            f"candidates (1 to {MAX_CANDIDATES})": 1 <= refinement.candidates <= MAX_CANDIDATES,
            f"types (1 to {MAX_ATTRIBUTES}, none of an identifier)": 1
            <= len(refinement.types)
            <= MAX_ATTRIBUTES
            and all(
                name in ATTRIBUTE_TYPES and ATTRIBUTE_TYPES[name].kind != "identifier"
                for name in refinement.types
            ),
            f"identifiers (0 to {MAX_EXACT_SLOTS} types of identifiers)": len(
                refinement.identifiers
            )
            <= MAX_EXACT_SLOTS
            and all(
                name in ATTRIBUTE_TYPES and ATTRIBUTE_TYPES[name].kind == "identifier"
                for name in refinement.identifiers
            ),
            "block_entries (1 or more, with two rounds)": self.codes.block_entries > 0,
            "exact_slots (0, with two rounds)": self.codes.exact_slots == 0,
        }


@dataclass(frozen=True)
class JobCounts:
    """How much a job compares and finds."""

    comparisons_planned: int = 0
    comparisons_done: int = 0
    candidate_pairs: int = 0
    links: int = 0
    comparing_s: float = 0.0


@dataclass(frozen=True)
class Job:
    """A job as its parties see it.

    Attributes:
        job_id: its name.
        requester: the party that asked for it.
        spec: what was asked.
        state: where it is.
        requested_at: when it was asked for, seconds since 1970.
        collect_until: until when batches are taken, seconds since 1970.
        uploaded: parties whose batch is complete.
        reason_code: why it ended without a release, or "".
        reason: the same in words.
        counts: what it compared and found so far.
        silent: parties whose answers in the second round are missing.
        office: the requester's office that asked for it; "" for the party itself.
    """

    job_id: str
    requester: str
    spec: JobSpec
    state: JobState
    requested_at: int
    collect_until: int
    uploaded: tuple[str, ...] = ()
    reason_code: str = ""
    reason: str = ""
    counts: JobCounts = field(default_factory=JobCounts)
    silent: tuple[str, ...] = ()
    office: str = ""

    def actor_of(self, party: str) -> str:
        """Return who takes part for a party, as `party/x` or `office/x/y`.

        An office takes part in what it asked for, and in nothing else; its head office not.
        """
        asked_by_office = self.office and party == self.requester
        return f"office/{party}/{self.office}" if asked_by_office else f"party/{party}"

    @property
    def missing(self) -> tuple[str, ...]:
        """Parties whose batch is not complete."""
        return tuple(party for party in self.spec.parties if party not in self.uploaded)
