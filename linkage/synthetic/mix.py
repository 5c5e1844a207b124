"""What a population is made of: the shares that a caller may set."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Mix:
    """Shares in [0, 1]; the defaults are rounded from public figures, or plain guesses.

    Attributes:
        foreign: adults who are foreigners with a stay permit.
        naturalised: of those, who have become Indonesian since.
        dual: persons under 21 with an Indonesian and a foreign parent (ABG). Well above
            the country's true share, since registrations of children are a main use.
        abroad: Indonesians who live abroad (some 9 of 280 million).
        passports: of the Indonesians at home, who hold or held a passport.
        married_name: wives who use their husband's name beside their own; rarely registered.
        changed_name: adults whose first name a court has changed.
        namesakes: persons made to share the full name of another one nearby, on top
            of the many who share a common name anyway.
        twins: of births that would come within ten months of a sibling's, who are
            made twins; the rest go to another family. Gives about 2 % twins.
        stale_nik: NIKs whose birth date was corrected later in the register only.
    """

    foreign: float = 0.005
    naturalised: float = 0.10
    dual: float = 0.01
    abroad: float = 0.03
    passports: float = 0.22
    married_name: float = 0.04
    changed_name: float = 0.003
    namesakes: float = 0.005
    twins: float = 0.025
    stale_nik: float = 0.005

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            ValueError: a share is outside [0, 1].
        """
        wrong = [f.name for f in fields(self) if not 0 <= getattr(self, f.name) <= 1]
        if wrong:
            raise ValueError(f"shares lie in [0, 1]: {', '.join(wrong)}")
