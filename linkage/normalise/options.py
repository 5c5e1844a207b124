"""What a linkage schema and a source say about normalising one attribute."""

from dataclasses import dataclass
from typing import Literal

from linkage.errors import ConfigError
from linkage.normalise.dateparts import DateOrder
from linkage.normalise.dates import Placeholders
from linkage.normalise.rules import LANGUAGES, RULE_BY_ID, Language

SexSystem = Literal["LP", "PW"]
"""What a bare P means: perempuan beside L, or pria beside W."""

_MAX_TOLERANCE = 20


@dataclass(frozen=True)
class NormaliseOptions:
    """Switches of the rules for one attribute.

    Attributes:
        language: whose names the attribute holds. "any" applies only rules that
            harm no name in Latin letters; "indonesian" adds those that are right
            for Indonesian names; "foreign" is "any" with old Indonesian spellings
            as further readings, for foreigners in Indonesian registers.
        without: ids of rules to leave out, for ablation.
        date_order: how to read a date that ends in its year.
        year_pivot: the latest year that a year of two digits can mean; None leaves
            such years unknown.
        reference_year: the year in which an age was stated; needed for ages only.
        age_tolerance: years that an age may be wrong, to either side.
        sex_system: what a bare P means; None tells it from the codes of each column.

    Raises:
        ConfigError: on construction, with every setting that cannot be used.
    """

    language: Language = "any"
    without: frozenset[str] = frozenset()
    date_order: DateOrder = "DMY"
    year_pivot: int | None = None
    reference_year: int | None = None
    age_tolerance: int = 2
    sex_system: SexSystem | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.language not in LANGUAGES:
            problems.append(f"language is none of {', '.join(LANGUAGES)}")
        for rule in sorted(self.without):
            if rule not in RULE_BY_ID:
                problems.append(f"there is no rule {rule!r} to leave out")
            elif RULE_BY_ID[rule].switch != "without":
                problems.append(f"rule {rule} has no switch")
        if self.date_order not in {"YMD", "DMY", "MDY"}:
            problems.append("date_order is none of YMD, DMY, MDY")
        for name in ("year_pivot", "reference_year"):
            year = getattr(self, name)
            if year is not None and not 1000 <= year <= 9999:
                problems.append(f"{name} is no year of four digits")
        if not 0 <= self.age_tolerance <= _MAX_TOLERANCE:
            problems.append(f"age_tolerance is not within 0 and {_MAX_TOLERANCE} years")
        if problems:
            raise ConfigError("normalisation options", problems)

    def applies(self, rule: str) -> bool:
        """Return whether the rule with this id acts under these options."""
        return self.language in RULE_BY_ID[rule].languages and rule not in self.without

    @property
    def placeholders(self) -> Placeholders:
        """Which days may stand for an unknown one (rule D02)."""
        if not self.applies("D02"):
            return Placeholders.NONE
        indonesian = self.language == "indonesian"
        return Placeholders.OF_YEAR_AND_MONTH if indonesian else Placeholders.OF_YEAR
