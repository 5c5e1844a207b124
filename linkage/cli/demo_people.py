"""Three Indonesian agencies for the demonstration; nobody in their registers exists.

Every agency keeps its records in its own way, as its source file says: the order of
dates, the codes of sex, the names of columns. What they link on is in the one schema.
"""

from collections.abc import Mapping

from linkage.cli.demo_data import DemoData, DemoParty

_PERSONS, _SEED, _GRADE = 3_000, 2026, "ordinary"
# Far more people abroad and with passports than the country has, so that three
# registers of a few thousand records have many persons in common.
_ABROAD, _PASSPORTS = 0.5, 0.5

# One-to-one: a register means to hold a person once. The few who are in one twice lose a
# link each; brothers and sisters, who share parents and place, gain none.
_SCHEMA = """\
# What Dukcapil, Imigrasi and Kemenlu all know of a person.
name = "demo-paspor"
language = "indonesian"

[encoding]
scheme = "{scheme}"

[match]
cardinality = "one-to-one"

"""
_TYPES = {
    "nama": "name",
    "tgl_lahir": "date",
    "tempat_lahir": "place",
    "jenis_kelamin": "sex",
    "nama_ibu": "mother_name",
    "nama_ayah": "father_name",
}

_SOURCES = {
    "dukcapil": """\
# Dukcapil: columns named as the attributes, dates such as 17-08-1990.
path = "records.csv"
date_order = "DMY"
""",
    "imigrasi": """\
# Imigrasi: dates such as 1990-08-17, and the codes of sex of a passport.
path = "records.csv"
record_id = "nomor_berkas"
date_order = "YMD"

[values.jenis_kelamin]
M = "L"
F = "P"
""",
    "kemenlu": """\
# Kemenlu: columns of the missions' own, dates such as 17/08/1990.
path = "records.csv"
record_id = "NO_LAPOR_DIRI"
date_order = "DMY"

[columns]
nama = "NAMA_LENGKAP"
tgl_lahir = "TANGGAL_LAHIR"
tempat_lahir = "KOTA_LAHIR"
jenis_kelamin = "L_P"
nama_ibu = "IBU_KANDUNG"
nama_ayah = "AYAH"
""",
}
# What an agency calls the columns of its register.
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "dukcapil": {},
    "imigrasi": {"record_id": "nomor_berkas"},
    "kemenlu": {
        "record_id": "NO_LAPOR_DIRI",
        "nama": "NAMA_LENGKAP",
        "tgl_lahir": "TANGGAL_LAHIR",
        "tempat_lahir": "KOTA_LAHIR",
        "jenis_kelamin": "L_P",
        "nama_ibu": "IBU_KANDUNG",
        "nama_ayah": "AYAH",
    },
}
_TRUTH = "entity_id"


def synthetic(scheme: str) -> DemoData:
    """Return registers of Dukcapil, Imigrasi and Kemenlu about some 3,000 persons.

    Args:
        scheme: how records are encoded.
    """
    from linkage.synthetic import Mix, generate_population, make_registers

    mix = Mix(abroad=_ABROAD, passports=_PASSPORTS)
    population = generate_population(_PERSONS, _SEED, mix=mix)
    registers = make_registers(population, tuple(_SOURCES), _GRADE, _SEED)
    attributes = "\n".join(
        f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n' for name, kind in _TYPES.items()
    )
    return DemoData(
        _SCHEMA.format(scheme=scheme) + attributes,
        {
            name: _party(name, table.to_pylist(), source)
            for (name, table), source in zip(
                registers.tables.items(), _SOURCES.values(), strict=True
            )
        },
    )


def _party(name: str, records: list[dict[str, object]], source: str) -> DemoParty:
    """Take the truth out of a register, and give the columns the agency's own names."""
    own = _COLUMNS[name]
    rows = [
        {
            own.get(column, column): "" if value is None else str(value)
            for column, value in record.items()
            if column != _TRUTH
        }
        for record in records
    ]
    persons = {str(record["record_id"]): str(record[_TRUTH]) for record in records}
    return DemoParty(rows, source, persons)
