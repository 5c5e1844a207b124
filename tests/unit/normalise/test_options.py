"""Rules and options: every rule listed, every wrong setting named."""

import pytest

from linkage.errors import ConfigError
from linkage.normalise import NORM_VERSION, RESOURCES
from linkage.normalise.names import normalise_name
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.rules import RULE_BY_ID, RULES
from linkage.resources import resource_digest


def test_every_rule_of_the_table_is_listed_once() -> None:
    expected = [f"N{n:02}" for n in range(1, 21)] + [f"D{n:02}" for n in range(1, 7)]
    expected += ["L01", "L02", "L03", "S01"] + [f"I{n:02}" for n in range(1, 6)]
    assert [rule.id for rule in RULES] == expected
    assert len(RULE_BY_ID) == len(RULES)


def test_the_version_is_text_and_the_tables_are_there() -> None:
    assert NORM_VERSION
    assert all(len(resource_digest(name)) == 64 for name in RESOURCES)


def test_all_problems_are_listed() -> None:
    with pytest.raises(ConfigError) as refused:
        NormaliseOptions(
            language="klingon",  # type: ignore[arg-type]
            without=frozenset({"N99", "N02"}),
            date_order="DYM",  # type: ignore[arg-type]
            year_pivot=26,
            age_tolerance=-1,
        )
    assert len(refused.value.problems) == 6


@pytest.mark.parametrize("rule", [rule.id for rule in RULES if rule.switch == "without"])
def test_every_switch_can_be_used(rule: str) -> None:
    options = NormaliseOptions(language="indonesian", without=frozenset({rule}))
    assert not options.applies(rule)
    assert normalise_name("Drs. R. Moch. Abdul Rahman bin Ali, M.M.", options).words


@pytest.mark.parametrize(
    "name",
    [
        "JOHN MICHAEL SMITH", "CHRISTINE JOHNSON", "SOERENSEN", "DR SMITH", "ST JOHN",
        "KHALID BIN SAID", "ABDUL AZIZ", "MOHAMED KARIM", "DJURIC MILAN", "TJARK JANSSEN",
        "MA LI", "SE JIN PAK", "NG MEI LING", "SERGEI IVANOVICH", "R J SMITH", "MD RAHMAN",
    ],
)  # fmt: skip
def test_the_default_profile_leaves_other_names_alone(name: str) -> None:
    assert normalise_name(name).words == tuple(name.split())
