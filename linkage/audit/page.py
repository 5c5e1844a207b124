"""The report as a page for people: one HTML file that loads and runs nothing.

Every agreement with its record of processing, counts by month and jobs; then what a key or an
artefact touched, where that was asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from linkage.agreement.jobs import JobRecord
from linkage.audit.report import AgreementRecord
from linkage.audit.scope import Scope
from linkage.audit.verdict import VerifyReport
from linkage.markup import Element, both, document, element, table

_STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #222;
  max-width: 70em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #bbb; }
h3 { font-size: 1em; margin: 1.4em 0 .2em; }
.id { color: #555; font-style: italic; font-weight: normal; font-size: .9em; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; font-weight: normal; }
thead th { border-bottom: 1px solid #222; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } }
"""
_NONE = "\u2013"
_JOB_HEAD = ("asked (UTC)", "job", "by", "parties", "compared", "records", "decision", "released")


def html_page(
    verified: VerifyReport,
    agreements: Sequence[AgreementRecord],
    jobs: Sequence[JobRecord],
    scope: Scope | None = None,
) -> str:
    """Return the report as a page.

    Args:
        verified: of the bundle that it was read from.
        agreements: what was done under each agreement.
        jobs: the jobs among it.
        scope: what a key or an artefact touched, if that was asked for.
    """
    title = f"Linkages in the log {verified.origin}"
    body = element(
        "body",
        both("h1", title, "Laporan pemadanan data"),
        element(
            "p",
            f"{verified.size} entries, root {verified.root}; {verified.bodies} bodies opened. "
            "The log was verified before this was read from it.",
        ),
    )
    for one in agreements:
        body.append(_agreement(one, [job for job in jobs if job.agreement == one.agreement]))
    if scope is not None:
        body.append(_scope(scope))
    return document(title, _STYLE, body)


def _agreement(one: AgreementRecord, jobs: Sequence[JobRecord]) -> Element:
    section = element(
        "section",
        element("h2", one.agreement),
        element("p", one.purpose or "No such agreement is in force in this log."),
    )
    if one.processing:
        section.append(both("h3", "Record of processing", "Rekaman kegiatan pemrosesan"))
        section.append(
            table(
                ("PP 33/2026 74(2)", "unsur · element", "isi · content"),
                [
                    (row.letter, f"{row.name} · {row.english}", _lines(row.content))
                    for row in one.processing
                ],
            )
        )
    section.append(both("h3", "By month", "Per bulan"))
    section.append(
        table(
            ("month", "jobs", "released", "records", "lookups answered", "refused"),
            [
                (
                    row.month,
                    _counts(row.jobs),
                    str(row.released),
                    _counts(row.records),
                    _counts(row.lookups),
                    _counts(row.refused),
                )
                for row in one.periods
            ],
        )
    )
    if one.entries:
        section.append(both("h3", "Other entries", "Entri lain"))
        section.append(element("p", _counts(one.entries)))
    section.append(both("h3", "Jobs", "Pekerjaan"))
    if one.requesters:
        section.append(element("p", f"Asked for by: {_counts(one.requesters)}"))
    section.append(table(_JOB_HEAD, [_job(job) for job in jobs]))
    return section


def _job(job: JobRecord) -> tuple[str, ...]:
    ended = f"ended: {job.ended}" if job.ended else _NONE
    return (
        _time(job.asked),
        job.job,
        job.requester,
        " + ".join(job.parties) or _NONE,
        ", ".join(job.attributes) or _NONE,
        _counts(job.records),
        job.outcome or "undecided",
        _time(job.released) if job.released else ended,
    )


def _scope(scope: Scope) -> Element:
    owner = scope.owner
    whose = f"{owner.principal or 'an administrator'}, {owner.kind}" if owner else "no known key"
    section = element(
        "section",
        both("h2", f"Scope of {scope.what}", "Cakupan insiden"),
        element("p", f"{whose}; {len(scope.leaves)} entries, {len(scope.jobs)} jobs"),
        element("p", f"Records in the uploads that it touched: {_counts(scope.records)}"),
    )
    if scope.first and scope.last:
        between = f"From {_time(scope.first)} to {_time(scope.last)}, under "
        section.append(element("p", between + (", ".join(scope.agreements) or "no agreement")))
    section.append(
        table(
            ("batch", "party", "records", "job", "agreement", "entry"),
            [
                (
                    one.batch, one.party, f"{one.records:,}", one.job or "register",
                    one.agreement or _NONE, str(one.leaf),
                )
                for one in scope.batches
            ],
        )
    )  # fmt: skip
    section.append(
        table(
            ("entry", "time (UTC)", "type", "actor", "agreement"),
            [
                (str(one.leaf), _time(one.time), one.type, one.actor, one.agreement or _NONE)
                for one in scope.leaves
            ],
        )
    )
    return section


def _lines(lines: Sequence[str]) -> Element:
    return element("div", *(element("div", line) for line in lines))


def _counts(counts: Mapping[str, int]) -> str:
    named = [f"{name or 'undecided'}: {count:,}" for name, count in sorted(counts.items()) if count]
    return ", ".join(named) or _NONE


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
