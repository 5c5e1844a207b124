"""The parts of an agreement: who, on what basis, what data, how, until when, who answers.

Every part is a field of the table of articles in `docs/agreements.md`, which names the law
behind it. Whether what stands in them is allowed is `linkage.agreement.lint`'s question.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from linkage.agreement.values import (
    ALL_OFFICES,
    Country,
    Digest,
    Line,
    OfficeName,
    PartyId,
    PrincipalUri,
    Prose,
    SealKey,
    SignKey,
    Strict,
)
from linkage.schema import MAX_CANDIDATES, Scheme
from linkage.types import DataClass

Process = Literal["P1", "P2", "P3", "P4", "P5", "P6", "P7"]
Level = Literal["R0", "R1", "R2", "R3", "R4"]
Institution = Literal[
    "dukcapil", "imigrasi", "ahu", "kemenlu", "setneg", "bin", "local-government", "partner"
]
PartyRole = Literal["controller", "joint-controller", "processor", "recipient"]
Direction = Literal["provides", "receives"]
Basis = Literal[
    "consent",
    "contract",
    "legal-obligation",
    "vital-interest",
    "public-task",
    "legitimate-interest",
]
LEVELS: tuple[Level, ...] = ("R0", "R1", "R2", "R3", "R4")

_Count = Annotated[int, Field(ge=0, le=2_000_000_000)]
_Days = Annotated[int, Field(ge=1, le=36_500)]
_Hours = Annotated[int, Field(ge=0, le=8_760)]


class Text(Strict):
    """A text in both languages; the Indonesian one is binding."""

    id: Prose
    en: Prose


class Reference(Strict):
    """Number and date of a document on paper."""

    number: Line
    signed_on: date


class Person(Strict):
    """An official, and the office held."""

    name: Line
    office: Line


class Contact(Strict):
    """Whom to reach."""

    name: Line
    contact: Line


class DataType(Strict):
    """One attribute that a party provides.

    Attributes:
        name: as in the linkage schema.
        element: row of the data-needs matrix.
        data_class: general or specific personal data.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    element: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    data_class: DataClass


class Party(Strict):
    """A party, its keys, and the attributes that it provides.

    Attributes:
        id: its short name, as in its certificate.
        name: its full name.
        institution: which of the services' institutions it is.
        role: its role under the law.
        public_body: whether it acts in a public task.
        country: where it is seated.
        principal: the identity of its agent.
        sign_keys: Ed25519 keys; all sign, the first is the enrolled one of the principal.
        seal_key: what shares of the linkage key are sealed to.
        signatory: who signs for it.
        ppdp: its data protection officer.
        data: what it provides.
        offices: which of its offices may ask for jobs in its name; `*` for all that it enrols.
            Left out of what is signed where there are none, as in agreements from before.
    """

    id: PartyId
    name: Line
    institution: Institution
    role: PartyRole
    public_body: bool
    country: Country
    principal: PrincipalUri
    sign_keys: Annotated[tuple[SignKey, ...], Field(min_length=1, max_length=4)]
    seal_key: SealKey
    signatory: Person
    ppdp: Contact
    data: Annotated[tuple[DataType, ...], Field(max_length=32)] = ()
    offices: Annotated[
        tuple[OfficeName, ...], Field(max_length=256, exclude_if=lambda names: not names)
    ] = ()

    def lets_ask(self, office: str) -> bool:
        """Return whether an office of this name may ask for jobs in the party's name."""
        return office in self.offices or ALL_OFFICES in self.offices


class Purpose(Strict):
    """What the linkage is for, and why the purposes of the parties belong together."""

    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./-]{0,63}$")]
    process: Process
    text: Text
    relation: Text


class LegalBasis(Strict):
    """Why a party may provide, or receive.

    Attributes:
        party: whose basis it is.
        direction: whether for providing or for receiving.
        basis: the letter of UU 27/2022 article 20(2), in words.
        article: the article of the law that orders the task.
        policy_sha256: digest of the policy document.
    """

    party: PartyId
    direction: Direction
    basis: Basis
    article: Line
    policy_sha256: Digest


class Waiver(Strict):
    """Why an unhardened scheme or a waived gate is accepted, by whom, and until when."""

    reason: Text
    approved_by: Line
    expires_on: date


class Method(Strict):
    """How records are compared.

    Attributes:
        schema_id: digest of the resolved linkage schema.
        scheme: how codes are hardened.
        norm_version: version of the normaliser.
        candidates: the most pairs for each record and counterpart in the second round.
        gate_limit: highest rate of persons named that the risk gate may find; 1 waives it.
        leakage: what each side learns beside the result.
        waiver: needed for `clk`, and for a gate limit of 1.
    """

    schema_id: Digest
    scheme: Scheme
    norm_version: Line
    candidates: Annotated[int, Field(ge=0, le=MAX_CANDIDATES)]
    gate_limit: Annotated[float, Field(ge=0, le=1)]
    leakage: Text
    waiver: Waiver | None = None


class Result(Strict):
    """What one party learns of the records of another."""

    source: PartyId
    recipient: PartyId
    level: Level


class Subjects(Strict):
    """Whose records.

    Attributes:
        categories: kinds of persons.
        children: whether persons under 18 are among them.
        guardian: the guardian's consent, or the other basis, where children are.
    """

    categories: Annotated[tuple[Line, ...], Field(min_length=1, max_length=20)]
    children: bool
    guardian: Text | None = None


class Quota(Strict):
    """How much, at most.

    Attributes:
        records_per_run: records of one batch.
        records_per_day: records of all batches of one party on one day.
        jobs: jobs in the whole term.
        jobs_per_day: jobs of one party on one day.
        lookups_per_day: lookups granted to one party on one day; 0 for none.
    """

    records_per_run: _Count
    records_per_day: _Count
    jobs: _Count
    jobs_per_day: _Count
    lookups_per_day: _Count


class Scope(Strict):
    """Which part of the registers, and how much of it."""

    population: Text
    quota: Quota


class Duties(Strict):
    """Which party answers for what."""

    rights: PartyId
    breach: PartyId
    quality: PartyId
    notice: PartyId


class JointContact(Contact):
    """The shared contact of the parties, tested every year."""

    tested_on: date


class Dpia(Strict):
    """The data protection impact assessment."""

    ref: Line
    sha256: Digest
    approved_by: Line
    approved_on: date
    ppdp_advice: Text
    review_on: date


class Term(Strict):
    """From the first to the last day, and how it ends before."""

    valid_from: date
    valid_until: date
    notice_days: _Days
    renewal: Text


class Retention(Strict):
    """How long what is kept."""

    artefact_days: _Days
    result_days: _Days
    archive_class: Line
    archive_years: _Days


class KeyCustody(Strict):
    """Who holds the linkage key, and how often it is made anew."""

    holders: Annotated[tuple[PartyId, ...], Field(min_length=1, max_length=16)]
    rotation_days: _Days
    destruction: Text


class SubProcessor(Strict):
    """Someone whom the processor employs, with the written approval."""

    name: Line
    country: Country
    approval: Line


class Processor(Strict):
    """Who runs the matcher, and where.

    Attributes:
        id: its short name: never a party that holds keys.
        name: its full name.
        appointment: the written order of the controllers.
        country: where it compares and stores.
        security_level: as agreed, for example that of Peraturan BSSN 4/2021.
        sub_processors: whom it employs.
    """

    id: PartyId
    name: Line
    appointment: Line
    country: Country
    security_level: Line
    sub_processors: Annotated[tuple[SubProcessor, ...], Field(max_length=16)] = ()


class Transfer(Strict):
    """Whether data leave the country."""

    rule: Literal["none", "mission-only", "article-56"]
    route: Text | None = None


class Rights(Strict):
    """How corrections and objections reach all who hold a link."""

    hours: _Hours
    channel: Text


class Incident(Strict):
    """Who tells whom, and how soon.

    Attributes:
        processor_hours: until the processor tells the parties.
        notify_hours: until the parties tell persons and authority.
        contacts: the tree of contacts.
        drill_on: day of the last drill.
    """

    processor_hours: _Hours
    notify_hours: _Hours
    contacts: Annotated[tuple[Contact, ...], Field(min_length=1, max_length=16)]
    drill_on: date


class Decision(Strict):
    """Who decides upon a link: an official, never the service."""

    official: Line
    two_officers: bool
    appeal: Text


class Audit(Strict):
    """Who inspects, and how often."""

    auditors: Annotated[tuple[PrincipalUri, ...], Field(min_length=1, max_length=8)]
    inspection: Text
    months: Annotated[int, Field(ge=1, le=120)]


class Exemption(Strict):
    """An exemption of UU 27/2022 article 15 or 50: narrow, weighed, and for a time.

    Attributes:
        article: which right or duty it lifts.
        law: the law that it carries out.
        balancing_sha256: digest of the balancing test.
        letter: number of the letter that supports it.
        expires_on: the last day that it holds.
    """

    article: Line
    law: Line
    balancing_sha256: Digest
    letter: Line
    expires_on: date


class Liability(Strict):
    """How disputes are settled; towards persons the parties answer jointly."""

    joint_and_several: Literal[True]
    dispute: Text


class Notice(Strict):
    """What the public is told, and since when."""

    text: Text
    published_on: date
    place: Line


class Witnesses(Strict):
    """Whose cosignatures a checkpoint needs before anything is released.

    Attributes:
        names: witnesses: every party, and auditors where agreed.
        quorum: how many of them.
        replacement_quorum: how many of those outside a job replace a party of it that is lost;
            with 0 the job waits for the party's new key.
    """

    names: Annotated[tuple[PartyId, ...], Field(min_length=1, max_length=32)]
    quorum: Annotated[int, Field(ge=1, le=32)]
    replacement_quorum: Annotated[int, Field(ge=0, le=32)]
