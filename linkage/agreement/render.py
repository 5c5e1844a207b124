"""An agreement as a text that people read before they sign: numbered articles in Markdown.

Every field of the agreement is in it, in Indonesian or in English, and the digest of exactly
these fields stands above and below it. What the parties wrote is shown as they wrote it: no
character of it becomes a heading, a link or a comment.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from keys.words import words_of
from linkage.agreement.articles import Text
from linkage.agreement.denial import Language
from linkage.agreement.matrix import PROCESS_NAMES
from linkage.agreement.model import Agreement
from linkage.agreement.phrases import MONTHS, PHRASES
from linkage.agreement.values import ALL_OFFICES

_MARKUP = re.compile(r"([\\`*_\[\]|<&~])")
_AT_START = re.compile(r"^([-+#>=:]|\d+(?=[.)]))")


def render(agreement: Agreement, language: Language = "id") -> str:
    """Return the whole text, ending in a line feed."""
    page = _Page(agreement, language)
    return "\n".join(page.lines()).rstrip() + "\n"


class _Page:
    """The lines of one text; articles number themselves in their order."""

    def __init__(self, agreement: Agreement, language: Language) -> None:
        self._agreement, self._language = agreement, language
        self._article = 0

    def lines(self) -> Iterator[str]:
        agreement = self._agreement
        yield f"# {self._both(agreement.title)}"
        yield ""
        yield from self._digest()
        for article in (
            self._identity,
            self._parties,
            self._purpose,
            self._bases,
            self._data,
            self._method,
            self._results,
            self._scope,
            self._duties,
            self._assessment,
            self._term,
            self._keeping,
            self._processor,
            self._incidents,
            self._decision,
            self._audit,
            self._exemptions,
            self._liability,
            self._notice,
            self._witnesses,
            self._signing,
        ):
            yield ""
            yield from article()
        yield ""
        yield from self._digest()

    def _digest(self) -> Iterator[str]:
        digest = self._agreement.digest()
        words = words_of(bytes.fromhex(digest))
        yield f"{self._say('digest')}: `{digest}`"
        yield ""
        yield f"{self._say('words')}: **{words}**"

    def _identity(self) -> Iterator[str]:
        agreement = self._agreement
        yield self._heading("identity")
        yield from self._rows(
            ("id", agreement.id),
            ("version", str(agreement.version)),
            ("supersedes", agreement.supersedes or self._say("none")),
            ("nk", self._reference(agreement.nk.number, agreement.nk.signed_on))
            if agreement.nk
            else ("nk", self._say("none")),
            ("pks", self._reference(agreement.pks.number, agreement.pks.signed_on)),
            ("log", agreement.log),
        )

    def _parties(self) -> Iterator[str]:
        yield self._heading("parties")
        for number, party in enumerate(self._agreement.parties, 1):
            yield f"{number}. **{_plain(party.name)}** ({_plain(party.id)})"
            body = "public_body" if party.public_body else "not_public_body"
            yield from self._rows(
                ("role", self._say(party.role)),
                ("institution", f"{party.institution}; {self._say(body)}; {party.country}"),
                ("signatory", f"{party.signatory.name}, {party.signatory.office}"),
                ("ppdp", f"{party.ppdp.name}, {party.ppdp.contact}"),
                ("principal", party.principal),
                *((("offices", self._offices(party.offices)),) if party.offices else ()),
                *(("sign_key", key) for key in party.sign_keys),
                ("seal_key", party.seal_key),
                indent="   ",
            )

    def _offices(self, names: tuple[str, ...]) -> str:
        return self._say("all_offices") if ALL_OFFICES in names else ", ".join(names)

    def _purpose(self) -> Iterator[str]:
        purpose = self._agreement.purpose
        english, indonesian = PROCESS_NAMES[purpose.process]
        process = indonesian if self._language == "id" else english
        yield self._heading("purpose")
        yield from self._clauses(
            self._both(purpose.text),
            self._both(purpose.relation),
            f"{self._say('process')}: {purpose.process}, {process}. "
            f"{self._say('purpose_code')}: {_plain(purpose.code)}.",
            self._say("no_other_purpose"),
        )

    def _bases(self) -> Iterator[str]:
        yield self._heading("legal_basis")
        yield from self._table(
            ("party", "direction", "basis", "article", "policy"),
            (
                (b.party, self._say(b.direction), self._say(b.basis), b.article, b.policy_sha256)
                for b in self._agreement.legal_basis
            ),
        )

    def _data(self) -> Iterator[str]:
        yield self._heading("data")
        yield self._say("data_rule")
        yield ""
        yield from self._table(
            ("party", "attribute", "element", "class"),
            (
                (party.id, data.name, data.element, self._say(data.data_class))
                for party in self._agreement.parties
                for data in party.data
            ),
        )

    def _method(self) -> Iterator[str]:
        method = self._agreement.method
        yield self._heading("method")
        yield from self._rows(
            ("schema_id", method.schema_id),
            ("scheme", method.scheme),
            ("norm_version", method.norm_version),
            ("candidates", str(method.candidates)),
            ("gate_limit", f"{method.gate_limit:g}"),
        )
        yield ""
        yield f"{self._say('leakage')}: {self._both(method.leakage)}"
        if method.waiver is not None:
            yield ""
            yield (
                f"**{self._say('waiver')}**: {self._both(method.waiver.reason)} "
                f"({_plain(method.waiver.approved_by)}; {self._say('until')} "
                f"{self._day(method.waiver.expires_on)})"
            )

    def _results(self) -> Iterator[str]:
        yield self._heading("results")
        yield from self._table(
            ("source", "goes_to", "level"),
            (
                (r.source, r.recipient, f"{r.level}: {self._say(r.level)}")
                for r in self._agreement.results
            ),
        )
        yield ""
        yield self._say("onward_ban")

    def _scope(self) -> Iterator[str]:
        subjects, scope = self._agreement.subjects, self._agreement.scope
        yield self._heading("scope")
        children = self._say("with_children" if subjects.children else "without_children")
        yield from self._clauses(
            f"{self._say('subjects')}: {_plain(', '.join(subjects.categories))}. {children}",
            *([self._both(subjects.guardian)] if subjects.guardian else []),
            f"{self._say('population')}: {self._both(scope.population)}",
        )
        yield ""
        yield from self._rows(
            *((name, self._number(number)) for name, number in scope.quota.model_dump().items())
        )

    def _duties(self) -> Iterator[str]:
        agreement = self._agreement
        duties, contact = agreement.duties, agreement.joint_contact
        yield self._heading("duties")
        yield from self._rows(
            ("duty_rights", duties.rights),
            ("duty_breach", duties.breach),
            ("duty_quality", duties.quality),
            ("duty_notice", duties.notice),
            ("joint_contact", f"{contact.name}, {contact.contact}"),
            ("tested_on", self._day(contact.tested_on)),
            ("rights_hours", str(agreement.rights.hours)),
        )
        yield ""
        yield self._both(agreement.rights.channel)

    def _assessment(self) -> Iterator[str]:
        dpia = self._agreement.dpia
        yield self._heading("dpia")
        yield from self._rows(
            ("dpia_ref", dpia.ref),
            ("sha256", dpia.sha256),
            ("approved", f"{dpia.approved_by}, {self._day(dpia.approved_on)}"),
            ("review_on", self._day(dpia.review_on)),
        )
        yield ""
        yield f"{self._say('ppdp_advice')}: {self._both(dpia.ppdp_advice)}"

    def _term(self) -> Iterator[str]:
        term = self._agreement.term
        yield self._heading("term")
        yield from self._clauses(
            self._say("term_days").format(self._day(term.valid_from), self._day(term.valid_until)),
            self._both(term.renewal),
            self._say("termination").format(term.notice_days),
        )

    def _keeping(self) -> Iterator[str]:
        retention, custody = self._agreement.retention, self._agreement.key_custody
        yield self._heading("keeping")
        yield from self._rows(
            ("artefact_days", str(retention.artefact_days)),
            ("result_days", str(retention.result_days)),
            (
                "archive",
                f"{retention.archive_class}, {retention.archive_years} {self._say('years')}",
            ),
            ("holders", ", ".join(custody.holders)),
            ("rotation_days", str(custody.rotation_days)),
        )
        yield ""
        yield self._both(custody.destruction)

    def _processor(self) -> Iterator[str]:
        agreement = self._agreement
        processor, transfer = agreement.processor, agreement.transfer
        yield self._heading("processor")
        yield from self._rows(
            ("processor_name", f"{processor.name} ({processor.id})"),
            ("appointment", processor.appointment),
            ("country", processor.country),
            ("security_level", processor.security_level),
            *(
                ("sub_processor", f"{sub.name}, {sub.country}, {sub.approval}")
                for sub in processor.sub_processors
            ),
            ("transfer", self._say(f"transfer_{transfer.rule}")),
        )
        if transfer.route is not None:
            yield ""
            yield self._both(transfer.route)

    def _incidents(self) -> Iterator[str]:
        incident = self._agreement.incident
        yield self._heading("incident")
        yield from self._rows(
            ("processor_hours", str(incident.processor_hours)),
            ("notify_hours", str(incident.notify_hours)),
            *(("contact", f"{one.name}, {one.contact}") for one in incident.contacts),
            ("drill_on", self._day(incident.drill_on)),
        )

    def _decision(self) -> Iterator[str]:
        decision = self._agreement.decision
        yield self._heading("decision")
        two = self._say("two_officers" if decision.two_officers else "one_officer")
        yield from self._clauses(
            self._say("official").format(_plain(decision.official)),
            two,
            self._both(decision.appeal),
        )

    def _audit(self) -> Iterator[str]:
        audit = self._agreement.audit
        yield self._heading("audit")
        yield from self._clauses(
            self._both(audit.inspection),
            self._say("audit_months").format(audit.months),
            f"{self._say('auditors')}: {_plain(', '.join(audit.auditors))}.",
        )

    def _exemptions(self) -> Iterator[str]:
        yield self._heading("exemptions")
        exemptions = self._agreement.exemptions
        if not exemptions:
            yield self._say("no_exemptions")
            return
        yield from self._table(
            ("exempt_article", "law", "balancing", "letter", "until"),
            (
                (e.article, e.law, e.balancing_sha256, e.letter, self._day(e.expires_on))
                for e in exemptions
            ),
        )

    def _liability(self) -> Iterator[str]:
        yield self._heading("liability")
        yield from self._clauses(
            self._say("joint_and_several"), self._both(self._agreement.liability.dispute)
        )

    def _notice(self) -> Iterator[str]:
        notice = self._agreement.notice
        yield self._heading("notice")
        yield self._both(notice.text)
        yield ""
        yield from self._rows(
            ("published_on", self._day(notice.published_on)), ("place", notice.place)
        )

    def _witnesses(self) -> Iterator[str]:
        witnesses = self._agreement.witnesses
        yield self._heading("witnesses")
        yield from self._clauses(
            self._say("witness_rule").format(
                _plain(", ".join(witnesses.names)), witnesses.quorum, len(witnesses.names)
            ),
            self._say("replacement_rule").format(witnesses.replacement_quorum),
        )

    def _signing(self) -> Iterator[str]:
        yield self._heading("signing")
        yield from self._clauses(
            self._say("binding"), self._say("in_force"), self._say("amendment")
        )

    def _heading(self, name: str) -> str:
        self._article += 1
        return f"## {self._say('article_word')} {self._article}. {self._say(f'h_{name}')}\n"

    def _say(self, name: str) -> str:
        english, indonesian = PHRASES[name]
        return indonesian if self._language == "id" else english

    def _both(self, text: Text) -> str:
        return _plain(text.id if self._language == "id" else text.en)

    def _day(self, day: date) -> str:
        english, indonesian = MONTHS[day.month - 1]
        return f"{day.day} {indonesian if self._language == 'id' else english} {day.year}"

    def _number(self, number: int) -> str:
        written = f"{number:,}"
        return written.replace(",", ".") if self._language == "id" else written

    def _reference(self, number: str, signed_on: date) -> str:
        return f"{number}, {self._day(signed_on)}"

    def _rows(self, *rows: tuple[str, str], indent: str = "") -> Iterator[str]:
        for name, value in rows:
            yield f"{indent}- {self._say(name)}: {_plain(value)}"

    def _clauses(self, *clauses: str) -> Iterator[str]:
        for number, clause in enumerate(clauses, 1):
            yield f"{number}. {clause}"

    def _table(self, names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
        yield f"| {' | '.join(self._say(name) for name in names)} |"
        yield f"|{' --- |' * len(names)}"
        for row in rows:
            yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    escaped = _MARKUP.sub(r"\\\1", text.replace("\n", " "))
    # A zero-width space would do for numbers, and be a character that nobody sees.
    return _AT_START.sub(lambda found: _as_entities(found[0]), escaped)


def _as_entities(text: str) -> str:
    return "".join(f"&#{ord(char)};" for char in text)
