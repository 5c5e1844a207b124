"""A quality profile as text for people: what was noticed, how often, in which records."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from linkage.normalise.profile import ColumnProfile, Finding, rule_of

if TYPE_CHECKING:
    from linkage.agent.profile import SourceProfile

_ROWS_SHOWN = 6
# What costs links where many records have it.
_GRAVE = frozenset({
    "rejected", "refused", "cut_suspect", "nobody", "title_kept", "unreadable", "impossible",
    "placeholder", "unknown", "bad_length", "bad_character", "bad_date",
})  # fmt: skip
_MANY, _MANY_MISSING, _MOST_GRAVE = 0.02, 0.2, 6

MEANING: Mapping[str, str] = {
    "rejected": "has a value that cannot be read as such: counts as missing",
    "refused": "has a value that cannot be read as such: the record is left out",
    "cut_suspect": "as long as the longest: cut at a field's length?",
    # Names.
    "mononym": "one word only",
    "title_stripped": "titles left out",
    "title_kept": "nothing but a title",
    "patronym": "with BIN, BINTI or the like",
    "digits": "with digits",
    "ordinal": "with an ordinal, left out",
    "filler": "with a filler such as FNU",
    "undoubled": "one word written twice",
    "nobody": "a value that says there is no name",
    "noble": "begins with words of nobility",
    "expanded": "with short forms written out",
    "initial": "with a single letter",
    "turned": "written the other way round",
    "cut": "as long as a passport's field: cut?",
    "mrz": "as a machine-readable zone writes it",
    "clan_mark": "with BORU before the clan, left out",
    # Dates.
    "unreadable": "no date",
    "impossible": "a day, month or year that does not exist",
    "placeholder": "a date such as 01-07 or 31-12 (in Indonesian data a day 15); zeros",
    "incomplete": "a part is unknown",
    # Places.
    "unknown": "in no list of places",
    "renamed": "an earlier name of the place",
    "abroad": "outside the country",
    "ambiguous": "several places have this name",
    # Identifiers.
    "bad_length": "dropped: wrong number of characters",
    "bad_character": "dropped: a character that cannot be in it",
    "bad_date": "dropped: the date inside does not exist",
    "is_nit": "a NIT: begins with 99",
    "unknown_region": "the region inside is in no list",
    "unusual_form": "an unusual form, accepted",
    # NIK against the rest of the record.
    "nik_dob_mismatch": "the date inside the NIK is not the date of birth",
    "nik_sex_mismatch": "the sex inside the NIK is not the record's",
    "kk_in_nik_column": "seems to be the family card's number",
}


def profile_lines(profile: "SourceProfile") -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{profile.n_records:,} records; numbers below count them from 1"
    for column in profile.quality.columns:
        beside = ", not in the schema" if column.attribute in profile.beside else ""
        yield ""
        yield f"{column.attribute} ({column.kind}{beside})"
        yield from _missing(column)
        for name, finding in column.findings.items():
            yield _line(name, finding, column.n_records, rule_of(column.kind, name))
    if profile.quality.nik_checks:
        yield ""
        yield "NIK against the record"
        for name, finding in profile.quality.nik_checks.items():
            yield _line(name, finding, profile.n_records, rule_of("nik", name))


def grave_lines(profile: "SourceProfile") -> Iterator[str]:
    """Yield what is gravest in a profile, if anything is: what is shared by many records."""
    found = list[tuple[float, str]]()
    n_records = max(profile.n_records, 1)

    def add(name: str, n: int, where: str, least: float) -> None:
        if (share := n / n_records) >= least:
            meaning = "no value that can be used" if name == "missing" else MEANING.get(name, name)
            found.append((share, f"{share:6.1%} of records, {where}: {meaning}"))

    for column in profile.quality.columns:
        add("missing", column.n_missing, column.attribute, _MANY_MISSING)
        for name, finding in column.findings.items():
            if name in _GRAVE:
                add(name, finding.count, column.attribute, _MANY)
    for name, finding in profile.quality.nik_checks.items():
        add(name, finding.count, "NIK", _MANY)
    for _, line in sorted(found, reverse=True)[:_MOST_GRAVE]:
        yield line


def _missing(column: ColumnProfile) -> Iterator[str]:
    if column.n_missing:
        yield _line("missing", Finding(column.n_missing, ()), column.n_records)
    elif not column.findings:
        yield "  nothing noticed"


def _line(name: str, finding: Finding, n_records: int, rule: str = "") -> str:
    meaning = "no value that can be used" if name == "missing" else MEANING.get(name, "")
    rows = ", ".join(str(row) for row in finding.rows[:_ROWS_SHOWN])
    more = ", ..." if finding.count > _ROWS_SHOWN else ""
    where = f"  [{rows}{more}]" if rows else ""
    share = finding.count / n_records
    return f"  {name:17}{finding.count:>10,} {share:>6.1%}  {rule:4} {meaning}{where}"
