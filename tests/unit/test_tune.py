"""`padan schema tune`: weights from records of known persons."""

import csv
import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linkage.agent import labelled as labelled_module
from linkage.agent.config import SourceConfig
from linkage.agent.evaluate import evaluate
from linkage.agent.heldout import STEPS, Trial, best_step, weight_at, with_weights
from linkage.agent.labelled import labelled_files, labelled_synthetic
from linkage.agent.schematext import format_schema
from linkage.agent.tune import tune
from linkage.cli import padan
from linkage.encode.encoder import resolve_schema
from linkage.errors import RecordError
from linkage.schema import parse_schema
from linkage.synthetic import Mix, generate_population, make_registers, register_csv_chunks

TYPES = {
    "nama": "name", "tgl_lahir": "date", "tempat_lahir": "place", "jenis_kelamin": "sex",
    "nama_ibu": "mother_name", "nama_ayah": "father_name",
}  # fmt: skip
HEAD = (
    'name = "a"\nlanguage = "indonesian"\n[encoding]\nscheme = "clk"\n'
    '[match]\ncardinality = "one-to-one"\n'
)
SYNTHETIC = HEAD + "".join(
    f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n' for name, kind in TYPES.items()
)
PLAIN = (
    'name = "a"\n[encoding]\nscheme = "clk"\n'
    '[[attributes]]\nname = "nama"\ntype = "name"\n'
    '[[attributes]]\nname = "warna"\ntype = "text"\n'
    '[[attributes]]\nname = "kosong"\ntype = "text"\n'
)


def person(number: int, draw: random.Random) -> dict[str, str]:
    """A name of the person's own that stays, and a colour that is anything each time."""
    own = random.Random(number)
    word = "".join(own.choices("ABCDEFGHIKLMNOPRSTU", k=9))
    colour = draw.choice(("MERAH", "KUNING", "HIJAU", "BIRU"))
    return {"entity_id": f"e{number}", "nama": word, "warna": colour, "kosong": ""}


def write(folder: Path, name: str, numbers: range) -> Path:
    draw = random.Random(name)
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["record_id", *person(0, draw)])
        writer.writeheader()
        writer.writerows({"record_id": n, **person(n, draw)} for n in numbers)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path, "a.csv", range(300)), write(tmp_path, "b.csv", range(100, 400))]


def run(folder: Path, text: str, *arguments: str | Path) -> Result:
    path = folder / "schema.toml"
    path.write_text(text)
    return CliRunner().invoke(padan, ["schema", "tune", str(path), *map(str, arguments)])


def labelled_run(files: list[Path], *arguments: str) -> Result:
    inputs = [word for path in files for word in ("--input", path)]
    return run(files[0].parent, PLAIN, *inputs, "--truth", "entity_id", *arguments)


def test_what_tells_persons_apart_weighs_more(files: list[Path]) -> None:
    done = labelled_run(files, "--json")
    assert done.exit_code == 0, done.output
    name, colour, nothing = json.loads(done.stdout)["attributes"]
    assert name["m"] > 0.99
    assert name["u"] < 0.2
    assert abs(colour["m"] - colour["u"]) < 0.05
    assert name["learned"] > 2 * colour["learned"]
    assert nothing["m"] is None
    assert nothing["learned"] == nothing["default"]


def test_one_file_is_compared_with_itself(tmp_path: Path) -> None:
    first = write(tmp_path, "a.csv", range(200))
    rows = first.read_text().splitlines()
    again = [f"x{row}" for row in rows[1:]]
    first.write_text("\n".join(rows + again) + "\n")
    done = labelled_run([first], "--json")
    assert json.loads(done.stdout)["attributes"][0]["m"] > 0.99


def test_the_output_is_the_schema_with_weights(files: list[Path]) -> None:
    done = labelled_run(files)
    tuned = parse_schema(done.stdout)
    plain = parse_schema(PLAIN)
    assert [a.name for a in tuned.attributes] == [a.name for a in plain.attributes]
    assert all(attribute.weight for attribute in tuned.attributes)
    assert "# nama " in done.stdout


def test_no_value_of_a_record_is_printed(files: list[Path]) -> None:
    done = labelled_run(files)
    for number in range(400):
        assert person(number, random.Random(0))["nama"] not in done.output


def test_equal_seeds_give_equal_weights_and_other_seeds_nearly(files: list[Path]) -> None:
    outputs = [labelled_run(files, "--json", "--seed", seed).stdout for seed in ("3", "3", "4")]
    assert outputs[0] == outputs[1]
    learned = [[a["learned"] for a in json.loads(text)["attributes"]] for text in outputs]
    assert learned[0] == pytest.approx(learned[2], rel=0.2)


def test_too_few_persons_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.csv", range(50)), write(tmp_path, "b.csv", range(50, 100))]
    done = labelled_run(paths)
    assert isinstance(done.exception, RecordError)
    assert "pairs of one person" in str(done.exception)


def test_of_many_records_the_same_persons_are_kept(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelled_module, "MAX_RECORDS", 300)
    inputs = [SourceConfig(path=path) for path in files]
    records = labelled_files(parse_schema(PLAIN), inputs, "entity_id", seed=1)
    assert 200 < len(records) < 400
    persons = [set(records.person[records.file == file].tolist()) for file in (0, 1)]
    shared = len(persons[0] & persons[1])
    assert shared > 0.5 * min(len(p) for p in persons)  # two of three persons are in both


def test_input_and_truth_go_together(tmp_path: Path) -> None:
    assert run(tmp_path, PLAIN, "--truth", "entity_id").exit_code == 2
    assert run(tmp_path, PLAIN, "--input", "a.csv").exit_code == 2


def test_synthetic_people_lack_some_types(tmp_path: Path) -> None:
    done = run(tmp_path, PLAIN)
    assert isinstance(done.exception, RecordError)
    assert "warna" in str(done.exception)


def test_an_attribute_that_one_register_has_keeps_its_default(tmp_path: Path) -> None:
    text = SYNTHETIC + '[[attributes]]\nname = "kode_pos"\ntype = "postcode"\n'
    done = json.loads(run(tmp_path, text, "--json").stdout)
    entries = {entry["name"]: entry for entry in done["attributes"]}
    assert entries["kode_pos"]["m"] is None
    assert entries["kode_pos"]["weight"] == entries["kode_pos"]["default"]
    assert entries["nama"]["m"] > 0.9


def test_relatives_make_a_parents_name_weigh_less() -> None:
    schema = parse_schema(SYNTHETIC)
    done = tune(schema, labelled_synthetic(schema, 1), 1, threads=2)
    tuned = {entry.name: entry for entry in done.attributes}
    assert tuned["nama_ibu"].strangers == "nama_ayah"
    assert tuned["nama_ibu"].learned < tuned["nama"].learned / 2
    assert tuned["jenis_kelamin"].learned < tuned["nama"].learned


def registers(folder: Path, seed: int) -> list[SourceConfig]:
    population = generate_population(1_500, seed, mix=Mix(abroad=0.5, passports=0.5))
    tables = make_registers(population, ("dukcapil", "imigrasi"), "ordinary", seed).tables
    configs = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        path.write_bytes(b"".join(register_csv_chunks(table)))
        configs.append(SourceConfig(path=path))
    return configs


def test_learned_weights_link_people_not_seen_as_well_as_the_defaults(tmp_path: Path) -> None:
    schema = parse_schema(SYNTHETIC)
    done = tune(schema, labelled_synthetic(schema, 1), 1, threads=2)
    tuned = with_weights(schema, {entry.name: entry.weight for entry in done.attributes})
    inputs = registers(tmp_path, seed=77)
    before, after = (
        evaluate(s, inputs, "entity_id", 2, lambda _done, _total: None).best.f1
        for s in (schema, tuned)
    )
    assert after >= before - 0.002


def trials(*best_f1: tuple[float, float]) -> tuple[Trial, ...]:
    return tuple(Trial(step, f1) for step, f1 in zip(STEPS, best_f1, strict=False))


@pytest.mark.parametrize(
    ("tried", "step"),
    [
        (trials((0.90, 0.92), (0.93, 0.94), (0.92, 0.93)), 0.25),
        (trials((0.90, 0.92), (0.99, 0.91), (0.92, 0.93)), 0.5),
        (trials((0.90, 0.92), (0.9001, 0.9201)), 0.0),
        (trials((0.90, 0.92), (0.85, 0.86), (0.80, 0.82)), 0.0),
        (trials((1.0, 1.0), (1.0, 1.0)), 0.0),
    ],
)
def test_learned_weights_are_followed_only_where_both_halves_link_better(
    tried: tuple[Trial, ...], step: float
) -> None:
    assert best_step(tried) == step


def test_a_step_goes_from_the_default_to_the_learned_weight() -> None:
    weights = [weight_at(step, 0.5, 2.0) for step in (0.0, 0.5, 1.0)]
    assert weights == pytest.approx([0.5, 1.0, 2.0])


def test_the_weights_are_those_of_the_step_that_was_tried_best(files: list[Path]) -> None:
    done = json.loads(labelled_run(files, "--json").stdout)
    tried = [Trial(trial["step"], tuple(trial["best_f1"])) for trial in done["trials"]]
    assert [trial.step for trial in tried] == list(STEPS)
    assert done["step"] == best_step(tuple(tried))
    for entry in done["attributes"]:
        weight = weight_at(done["step"], entry["default"], entry["learned"])
        assert entry["weight"] == round(weight, 2)


def test_identifiers_stay_in_the_schema() -> None:
    text = PLAIN + '[[attributes]]\nname = "nik"\ntype = "nik"\n[exact]\nnames = ["nik"]\n'
    weighted = parse_schema(format_schema(with_weights(parse_schema(text), {"nama": 1.7})))
    assert [a.name for a in weighted.exact_attributes] == ["nik"]
    assert weighted.attributes[0].weight == 1.7
    assert weighted.attributes[1].weight is None


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        SYNTHETIC,
        """
        name = "b"
        version = 3
        [encoding]
        scheme = "saul"
        bits = 4096
        order = 4
        [match]
        cardinality = "one-to-many"
        threshold = 0.6
        [[attributes]]
        name = "nama"
        type = "name"
        weight = 1.5
        rarity = false
        without = ["N03", "N11"]
        """,
    ],
)
def test_a_schema_written_back_is_the_same_schema(text: str) -> None:
    schema = parse_schema(text)
    assert resolve_schema(parse_schema(format_schema(schema))) == resolve_schema(schema)
