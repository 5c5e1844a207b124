"""The matcher sees no value of a person: searched in every byte that it ever had."""

import base64
import random
import string
import sys
from pathlib import Path

import pytest
from leaks import SHORTEST, LeakSearch

from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DemoSite

SCHEMA = "\n".join(
    [
        'name = "leaks"',
        *(
            f'[[attributes]]\nname = "{name}"\ntype = "{kind}"'
            # By its type it has no row in the matrix of data needs.
            + ('\nelement = "alamat"' if kind == "code" else "")
            for name, kind in {
                "nama": "name",
                "tgl_lahir": "date",
                "tempat_lahir": "place",
                "jenis_kelamin": "sex",
                "nama_ibu": "mother_name",
                "alamat": "address",
                "kode_pos": "postcode",
                "telepon": "phone",
                "surel": "email",
                "kode": "code",
            }.items()
        ),
    ]
)
COLUMNS = (
    "nama", "tgl_lahir", "tempat_lahir", "jenis_kelamin", "nama_ibu", "alamat", "kode_pos",
    "telepon", "surel", "kode",
)  # fmt: skip


def word(draw: random.Random) -> str:
    return "".join(draw.choices(string.ascii_lowercase, k=draw.randint(4, 9))).capitalize()


def date(draw: random.Random) -> str:
    return f"{draw.randint(1930, 2020)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"


def record(draw: random.Random) -> dict[str, str]:
    return {
        "nama": f"{word(draw)} {word(draw)}",
        "tgl_lahir": date(draw),
        "tempat_lahir": word(draw),
        "jenis_kelamin": draw.choice(("Laki-laki", "Perempuan")),
        "nama_ibu": f"{word(draw)} {word(draw)}",
        "alamat": f"Jalan {word(draw)} {draw.randint(1, 200)}",
        "kode_pos": f"{draw.randint(10000, 99999)}",
        "telepon": f"08{draw.randint(10**9, 10**10 - 1)}",
        "surel": f"{word(draw)}@{word(draw)}.example",
        "kode": f"{word(draw)}{draw.randint(0, 999)}",
    }


def sentinel(draw: random.Random) -> str:
    return "".join(draw.choices(string.ascii_letters, k=12))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoSite, Path, list[str]]:
    """A whole job of two parties under watch: site, what was recorded, all values."""
    draw = random.Random(7)
    persons = [record(draw) for _ in range(300)]
    records = {
        "dukcapil": persons[:200],
        "imigrasi": [dict(person) for person in persons[100:]],
    }
    values: list[str] = []
    for rows in records.values():
        # A planted value in every column, each in a record of its own.
        for number, column in enumerate(COLUMNS):
            rows[number] = rows[number] | {column: sentinel(draw)}
        for number, row in enumerate(rows):
            rows[number] = {"record_id": f"nomor-{draw.randint(10**6, 10**7):08}", **row}
            values += rows[number].values()
            values += [part for value in row.values() for part in value.split()]
    parties = {party: DemoParty(rows) for party, rows in records.items()}
    site = DemoSite(tmp_path_factory.mktemp("leaks"), DemoData(SCHEMA, parties))
    watched = site.root / "watched"
    site.prepare()
    program = (sys.executable, str(Path(__file__).parent / "observed_matcher.py"), str(watched))
    site.start_matcher(program)
    try:
        site.run_agents(site.request_job())
        site.fetch_bundle()
    finally:
        site.stop_matcher()
    return site, watched, values


def everything_the_matcher_had(site: DemoSite, watched: Path) -> dict[str, bytes]:
    files = {
        str(path.relative_to(site.root)): path.read_bytes()
        for path in (site.root / "matcher").rglob("*")
        if path.is_file()
    }
    return files | {"messages": (watched / "messages").read_bytes()}


def test_no_value_of_a_person_in_messages_files_and_log_lines(
    job: tuple[DemoSite, Path, list[str]],
) -> None:
    site, watched, values = job
    content = everything_the_matcher_had(site, watched)
    assert {"matcher/matcher.log", "matcher/data/matcher.db"} <= set(content)
    # All tickets went through it: 13 bytes each, three of every composite.
    assert len(content["messages"]) > 2 * 200 * 3 * 13 * 20
    search = LeakSearch(values)
    assert len(search) > 10_000
    found = {name: search.found_in(data) for name, data in content.items()}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_the_search_finds_a_planted_value_however_it_is_written(
    job: tuple[DemoSite, Path, list[str]],
) -> None:
    _, _, values = job
    search = LeakSearch(values)
    value = next(value for value in values if len(value) == 12 and value.isalpha())
    noise = random.Random(1).randbytes(1000)
    plain = value.encode()
    spellings = [
        plain,
        plain.lower(),
        plain.upper(),
        plain[::-1],
        plain.hex().encode(),
        value.encode("utf-16-le"),
        value.encode("utf-16-be"),
        *(base64.b64encode(b"x" * shift + plain + b"yz") for shift in range(3)),
        *(base64.urlsafe_b64encode(b"x" * shift + plain + b"yz") for shift in range(3)),
    ]
    for spelling in spellings:
        assert search.found_in(noise + spelling + noise) == {value}
    assert search.found_in(noise) == set()


def test_the_search_leaves_out_only_what_is_short(job: tuple[DemoSite, Path, list[str]]) -> None:
    _, _, values = job
    search = LeakSearch(values)
    for value in values:
        assert (search.found_in(value.encode()) != set()) == (len(value.encode()) >= SHORTEST)


def test_the_matcher_opened_no_key_and_no_record_of_an_agent(
    job: tuple[DemoSite, Path, list[str]],
) -> None:
    _, watched, _ = job
    opened = [Path(line) for line in (watched / "opened").read_text().splitlines()]
    assert any(path.name == "matcher.db" for path in opened)  # the watch does see
    assert any(path.name.startswith("pair-") for path in opened)
    assert [path for path in opened if "agents" in path.parts] == []
    assert [path for path in opened if path.name == "linkage.key"] == []


def test_the_matcher_never_loaded_a_module_that_could_read_a_person(
    job: tuple[DemoSite, Path, list[str]],
) -> None:
    _, watched, _ = job
    modules = (watched / "modules").read_text().splitlines()
    assert "linkage.matcher.server" in modules
    agency_side = ("linkage.normalise", "linkage.encode", "linkage.agent", "linkage.synthetic")
    secret_side = ("keys.derive", "keys.exchange")
    assert [m for m in modules if m.startswith(agency_side) or m in secret_side] == []
