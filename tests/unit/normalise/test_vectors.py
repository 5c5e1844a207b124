"""Every published vector of the normalisation rules, against the definition."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linkage.normalise.ages import parse_age
from linkage.normalise.dates import parse_date, precision_of
from linkage.normalise.datevariants import compare_dates
from linkage.normalise.identifiers import check_nik, parse_document, parse_kk, parse_nik
from linkage.normalise.likeness import compare_names
from linkage.normalise.names import normalise_name
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.phonetic import phonetic_key
from linkage.normalise.places import compare_places, normalise_place
from linkage.normalise.rules import RULES
from linkage.normalise.sexes import parse_sex
from linkage.normalise.spelling import other_writings

FOLDER = Path(__file__).parents[2] / "vectors" / "normalise"
FILES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}
CASES = [(stem, case) for stem, file in sorted(FILES.items()) for case in file["cases"]]


def options_of(case: dict[str, Any]) -> NormaliseOptions:
    given = dict(case["options"])
    given["without"] = frozenset(given.get("without", ()))
    return NormaliseOptions(**given)


def flag_names(flags: Any) -> list[str]:
    return sorted(flag.name for flag in flags)


def look_at(outcome: Any, expect: dict[str, Any]) -> dict[str, Any]:
    """The attributes that the case says something about, in the case's form."""
    seen: dict[str, Any] = {}
    for key, wanted in expect.items():
        value = getattr(outcome, key)
        if key == "flags":
            value = flag_names(value)
            wanted.sort()
        elif key == "classes":
            value = [weight.name for weight in value]
        elif key == "variants":
            value = [list(words) for words in value]
        elif isinstance(value, tuple):
            value = list(value)
        seen[key] = value
    return seen


def name(case: dict[str, Any]) -> Any:
    given = case["input"]
    outcome = normalise_name(
        given["value"], options_of(case), given.get("sex", "U"), given.get("kind", "name")
    )
    return look_at(outcome, case["expect"])


def compare(case: dict[str, Any], *, cut: bool = False) -> Any:
    left, right = (normalise_name(value, options_of(case)) for value in case["input"])
    return compare_names(left, right, cut=cut)


def age(case: dict[str, Any]) -> Any:
    options = options_of(case)
    assert options.reference_year is not None
    band = parse_age(case["input"], options.reference_year, options.age_tolerance)
    return [band.first, band.last] if band else None


def nik_check(case: dict[str, Any]) -> Any:
    given = case["input"]
    flags = check_nik(parse_nik(given["nik"]), given["born"], given["sex"], given["kk"])
    case["expect"].sort()
    return flag_names(flags)


def date(case: dict[str, Any]) -> Any:
    options = options_of(case)
    return parse_date(case["input"], options.date_order, options.year_pivot)


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "name": name,
    "other_writings": lambda case: sorted(other_writings(case["input"], options_of(case))),
    "phonetic": lambda case: (
        "same" if len(set(map(phonetic_key, case["input"]))) == 1 else "different"
    ),
    "compare": compare,
    "compare_cut": lambda case: compare(case, cut=True),
    "date": date,
    "precision": lambda case: precision_of(case["input"], options_of(case).placeholders).name,
    "dates": lambda case: compare_dates(*case["input"]),
    "nik_check": nik_check,
    "age": age,
    "place": lambda case: look_at(normalise_place(case["input"], options_of(case)), case["expect"]),
    "places": lambda case: compare_places(
        *(normalise_place(value, options_of(case)) for value in case["input"])
    ),
    "sex": lambda case: parse_sex(case["input"]),
    "nik": lambda case: look_at(parse_nik(case["input"]), case["expect"]),
    "kk": lambda case: look_at(parse_kk(case["input"]), case["expect"]),
    "passport": lambda case: look_at(parse_document(case["input"], "passport"), case["expect"]),
    "deed": lambda case: look_at(parse_document(case["input"], "deed"), case["expect"]),
}


def test_every_rule_has_vectors_and_none_is_lost() -> None:
    assert {stem.split("-")[0] for stem in FILES} == {rule.id for rule in RULES}
    assert len(CASES) == N_CASES


@pytest.mark.parametrize(
    ("stem", "case"), CASES, ids=[f"{stem}-{case['desc']}" for stem, case in CASES]
)
def test_vector(stem: str, case: dict[str, Any]) -> None:
    got = RUN[FILES[stem]["function"]](case)
    assert got == case["expect"], case["desc"]


N_CASES = 358
