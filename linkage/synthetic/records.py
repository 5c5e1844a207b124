"""Persons as the columns of a register, true and in canonical form."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from linkage.synthetic.columns import Ints, Text, calendar, join, pc, pick, plain, present, text
from linkage.synthetic.places import places
from linkage.synthetic.population import Population
from linkage.synthetic.tables import rows as table_rows
from linkage.synthetic.value_errors import iso_dates

FACTS = (
    "sex", "birth_year", "father_name", "alias", "birth_district_name", "birth_regency_name",
    "birth_regency_kind", "home_district", "relative_nik", "kk", "former_passport",
)  # fmt: skip
"""What mutators may ask about a row."""

# Shared column names, and the columns of the persons table that they hold.
_PLAIN = {
    "nama": "name",
    "nama_lain": "alias",
    "tempat_lahir": "birth_place",
    "jenis_kelamin": "sex",
    "nama_ibu": "mother_name",
    "nama_ayah": "father_name",
    "nik": "nik",
    "no_kk": "kk",
    "kewarganegaraan": "nationality",
    "kewarganegaraan_lain": "second_nationality",
    "alamat": "address",
    "kode_pos": "postcode",
    "negara_domisili": "residence",
    "perwakilan": "mission",
    "alamat_luar_negeri": "address_abroad",
    "paspor_asing": "foreign_passport",
    "izin_tinggal": "permit",
    "no_sertifikat": "certificate",
}


class Records:
    """Columns of a population, made once and handed out by row.

    Args:
        population: whose records to make.
    """

    def __init__(self, population: Population) -> None:
        self._persons = population.persons
        self.birth: Ints = np.asarray(
            pc.cast(plain(population.persons["birth_date"]), "int32"), dtype=np.int64
        )
        self._passport = [self._passport_of_age(population.passports, age) for age in range(3)]
        self.has_passport = present(self._passport[0])
        self._made: dict[str, Text] = {}

    def columns(self, names: tuple[str, ...], rows: Ints) -> dict[str, Text]:
        """Return the columns with the shared `names` for the persons in `rows`."""
        return {name: pick(self._column(name), rows) for name in names}

    def facts(self, rows: Ints) -> Mapping[str, Text]:
        """Return the facts about the persons in `rows`."""
        return {name: pick(self._fact(name), rows) for name in FACTS}

    def _column(self, name: str) -> Text:
        if name not in self._made:
            self._made[name] = self._make_column(name)
        return self._made[name]

    def _make_column(self, name: str) -> Text:
        if name in _PLAIN:
            return plain(self._persons[_PLAIN[name]])
        if name == "tgl_lahir":
            return iso_dates(self.birth)
        if name == "no_paspor":
            return self._passport[0]
        if name == "paspor_lama":
            return join(self._passport[1:], ";")
        raise ValueError(f"no such column: {name}")

    def _fact(self, name: str) -> Text:
        if name not in self._made:
            self._made[name] = self._make_fact(name)
        return self._made[name]

    def _make_fact(self, name: str) -> Text:
        country = places()
        if name == "birth_year":
            return plain(pc.cast(pa.array(calendar(self.birth)[0]), pa.string()))
        if name == "home_district":
            return plain(pc.cast(self._persons["home_district"], pa.string()))
        if name.startswith("birth_"):
            at_home = ~self._born_abroad()
            district = np.asarray(plain(self._persons["birth_district"]), dtype=np.int64)
            regency = np.where(at_home, country.district_regency[district], -1)
            if name == "birth_district_name":
                return pick(country.districts, np.where(at_home, district, -1))
            if name == "birth_regency_name":
                return pick(country.regencies, regency)
            return pick(country.regency_kinds, regency)
        if name == "former_passport":
            return self._passport[1]
        if name == "relative_nik":
            relative = pc.coalesce(
                *(self._persons[key] for key in ("father_id", "mother_id", "spouse_id"))
            )
            ids = np.asarray(pc.fill_null(plain(relative), 0), dtype=np.int64)
            return pick(plain(self._persons["nik"]), ids - 1)
        return plain(self._persons[name])

    def _born_abroad(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        cities = text(sorted({row["city"] for row in table_rows("synthetic_missions.csv")}))
        return np.asarray(pc.is_in(plain(self._persons["birth_place"]), value_set=cities))

    def _passport_of_age(self, passports: pa.Table, age: int) -> Text:
        """Return each person's passport number, latest first, null without one."""
        held = np.asarray(plain(passports["age"])) == age
        row = np.full(self._persons.num_rows, -1, dtype=np.int64)
        owners = np.asarray(plain(passports["entity_id"]), dtype=np.int64)[held]
        row[owners - 1] = np.flatnonzero(held)
        return pick(plain(passports["number"]), row)
