"""The quality profile: counts and row numbers, and nothing of the values."""

import json

from linkage.normalise import NORM_VERSION
from linkage.normalise.attributes import normalise_column, sex_column
from linkage.normalise.datecolumns import date_column
from linkage.normalise.flags import DateFlag, IdFlag, NameFlag, PlaceFlag
from linkage.normalise.namecolumns import name_column
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.profile import QualityProfile, profile_column, profile_niks, rule_of
from linkage.normalise.rules import RULE_BY_ID

INDONESIAN = NormaliseOptions(language="indonesian")
NAMES = ["Drs. Ahmad Fauzi", "SUHARTO", None, "A" * 24 + " " + "B" * 25, "FNU SUHARTO"]
NIKS = ["0001014705900001", "123", "0001010000000000", None, "0001011203150004"]


def test_a_profile_counts_and_lists_rows() -> None:
    profile = profile_column("nama", "name", name_column(NAMES, INDONESIAN))
    assert profile.n_records == 5
    assert profile.n_missing == 1
    found = {name: finding.rows for name, finding in profile.findings.items()}
    assert found == {
        "mononym": (1, 4), "title_stripped": (0,), "filler": (4,), "cut": (3,),
    }  # fmt: skip


def test_rows_are_bounded_and_counts_are_not() -> None:
    profile = profile_column("nama", "name", name_column(["BUDI"] * 9, INDONESIAN), max_rows=2)
    assert profile.findings["mononym"].count == 9
    assert profile.findings["mononym"].rows == (0, 1)


def test_invalid_identifiers_are_missing_and_counted_by_reason() -> None:
    profile = profile_column("nik", "nik", normalise_column(NIKS, "nik"))
    assert profile.n_missing == 3
    assert profile.findings["bad_length"].rows == (1,)
    assert profile.findings["placeholder"].rows == (2,)


def test_niks_are_compared_with_the_rest_of_their_record() -> None:
    found = profile_niks(
        normalise_column(NIKS, "nik"),
        date_column(["1990-05-07", "1990-05-07", None, None, "1990-05-07"]),
        sex_column(["L", "L", "L", "L", "P"]),
        normalise_column([None, None, None, None, "0001014705900001"], "kk"),
    )
    assert {name: finding.rows for name, finding in found.items()} == {
        "nik_dob_mismatch": (4,), "nik_sex_mismatch": (0, 4), "kk_in_nik_column": (4,),
    }  # fmt: skip


def test_the_report_is_json_without_any_value() -> None:
    columns = (
        profile_column("nama", "name", name_column(NAMES, INDONESIAN)),
        profile_column("nik", "nik", normalise_column(NIKS, "nik")),
        profile_column("lahir", "date", date_column(["1951-07-01", "x"])),
        profile_column("tempat", "place", normalise_column(["Bogor", "Atlantis"], "place")),
        profile_column("jk", "sex", sex_column(["L"])),
    )
    report = QualityProfile(NORM_VERSION, columns, profile_niks(normalise_column(NIKS, "nik")))
    text = json.dumps(report.to_dict())
    for value in ("Ahmad", "SUHARTO", "0001014705900001", "1951", "Atlantis", "BOGOR"):
        assert value not in text
    found = json.loads(text)
    placeholder = {"rule": "D02", "count": 1, "rows": [0]}
    assert found["columns"][2]["findings"]["placeholder"] == placeholder


def test_every_finding_names_a_rule_that_there_is() -> None:
    kinds_and_flags = {
        "name": NameFlag, "date": DateFlag, "place": PlaceFlag, "nik": IdFlag, "passport": IdFlag,
    }  # fmt: skip
    for kind, flags in kinds_and_flags.items():
        assert {rule_of(kind, str(flag.name).lower()) for flag in flags} <= set(RULE_BY_ID)
    assert rule_of("date", "rejected") == "D01"
    assert rule_of("nik", "nik_dob_mismatch") == "D04"
    assert rule_of("text", "rejected") == ""
