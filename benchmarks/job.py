"""The job benchmark: a whole job of two rounds, with a matcher and two agents as processes.

Two ordinary registers of people who do not exist, of equal size, through everything that
`padan demo` starts on one machine: encode, upload with TLS, find candidates, ask, answer,
score, solve, fetch, verify. What was sent is counted from what the matcher has kept, and
when each phase ended is read from its log.
"""

import csv
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.experiment import Experiment
from benchmarks.processes import MemoryWatch
from benchmarks.records import SYNTHETIC_REGISTERS, TRUTH
from benchmarks.schemes import Scheme, schema_text
from benchmarks.speed import EXPERIMENT
from linkage.agent.session import refinement_of
from linkage.audit.bundle_files import read_bundle
from linkage.classify.quality import Quality
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DemoSite
from linkage.engine.questions import most_drawn
from linkage.fieldrow import RowForm
from linkage.job import Refinement
from linkage.log.entry import parse_entry
from linkage.log.tiles import parse_entries, parse_tile_path
from linkage.namerow import NameForm
from linkage.schema import parse_schema
from linkage.synthetic import Mix, generate_population, make_registers
from linkage.ticket import ticket_bytes

RECORDS = 100_000
CANDIDATES = 5
MOST_S = 600
"""What a job of `RECORDS` on each side may take on two cores."""

_GRADE, _SEED = "ordinary", 1
# With so many passports both registers are of about one size, half of the persons each.
_PERSONS_PER_RECORD = 2.0
_MIX = Mix(passports=0.92)
_OVERLAP = 0.6
# Of an encrypted file: nonce and tag.
_SEAL_BYTES = 28
_PHASES = {
    "encode and upload": ("job.authorise", "job.plan"),
    "find candidates": ("job.plan", "refine"),
    "ask, answer, solve": ("refine", "result"),
}


@dataclass(frozen=True)
class JobResult:
    """What a job took and brought.

    Attributes:
        scheme: how records were encoded.
        candidates: most candidates of a record in the second round.
        records: number of records by party.
        seconds: from the request to the verified results of both agents.
        phases: seconds by phase, from the log's whole seconds.
        peak_mib: largest resident memory by process.
        sent: bytes by what they are, both parties together.
        comparisons: comparisons of the first round.
        quality: of the links, known to the benchmark alone.
    """

    scheme: str
    candidates: int
    records: dict[str, int]
    seconds: float
    phases: dict[str, int]
    peak_mib: dict[str, float]
    sent: dict[str, int]
    comparisons: int
    quality: Quality

    @property
    def sent_per_record(self) -> dict[str, float]:
        """Bytes per record by what they are."""
        return {what: n / sum(self.records.values()) for what, n in self.sent.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            **asdict(self),
            "quality": {
                "links": self.quality.pairs_found,
                "f1": self.quality.f1,
                "precision": self.quality.precision,
                "recall": self.quality.recall,
            },
            "bytes_per_record": self.sent_per_record,
            "most_s": MOST_S,
        }


def measure_job(
    scheme: Scheme,
    candidates: int,
    n_records: int,
    on_step: Callable[[str], None] = lambda _step: None,
) -> JobResult:
    """Run a job of two registers of `n_records` each.

    Args:
        scheme: how records are encoded.
        candidates: most candidates of a record in the second round.
        n_records: records of each register.
        on_step: told what is done before it starts.

    Raises:
        LinkageError: a process failed.
    """
    on_step(f"making {n_records:,} x {n_records:,}")
    data = _registers(scheme.refined(candidates), n_records)
    with tempfile.TemporaryDirectory(prefix="padan-job-") as folder:
        site = DemoSite(Path(folder), data)
        on_step("preparing folders, certificates and keys")
        site.prepare()
        with MemoryWatch(_process_name) as watch:
            try:
                site.start_matcher()
                on_step("running the job")
                started = time.monotonic()
                outcomes = site.run_agents(site.request_job())
                seconds = time.monotonic() - started
                site.fetch_bundle()
            finally:
                site.stop_matcher()
        site.verify_bundle()
        job = next(iter(outcomes.values()))["job"]
        records = {party: len(own.rows) for party, own in data.parties.items()}
        schema = parse_schema(data.schema)
        refinement = refinement_of(schema)
        if refinement is None:
            raise ValueError("the job has two rounds")
        return JobResult(
            scheme=scheme.text,
            candidates=candidates,
            records=records,
            seconds=seconds,
            phases=_phases(site.bundle),
            peak_mib=dict(sorted(watch.peak_mib.items())),
            sent=_sent(
                site.root / "matcher" / "data" / "artefacts",
                schema.match.block_bytes,
                records,
                refinement,
            ),
            comparisons=int(job["comparisons"]) if isinstance(job, dict) else 0,
            quality=_quality(
                {party: Path(str(outcome["path"])) for party, outcome in outcomes.items()},
                {party: own.truth for party, own in data.parties.items()},
            ),
        )


def _registers(scheme: Scheme, n_records: int) -> DemoData:
    population = generate_population(int(_PERSONS_PER_RECORD * n_records) + 100, _SEED, mix=_MIX)
    made = make_registers(population, SYNTHETIC_REGISTERS, _GRADE, _SEED, _OVERLAP)
    parties = {}
    for number, (name, table) in enumerate(made.tables.items()):
        order = np.random.default_rng(number).permutation(table.num_rows)[:n_records]
        parties[name] = _party(EXPERIMENT, name, table.take(np.sort(order)))
    return DemoData(schema_text(EXPERIMENT, scheme), parties)


def _party(experiment: Experiment, name: str, table: pa.Table) -> DemoParty:
    columns = ["record_id", *(column.name for column in experiment.columns)]
    own = table.select(columns)
    text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in own.to_pylist()]
    persons = [str(person) for person in table[TRUTH].to_pylist()]
    source = ['path = "records.csv"']
    for column, values in experiment.values.get(name, {}).items():
        source.append(f"[values.{column}]")
        source += [f'{value} = "{meaning}"' for value, meaning in values.items()]
    return DemoParty(
        text,
        "\n".join(source),
        dict(zip((row["record_id"] for row in text), persons, strict=True)),
    )


def _process_name(words: list[str]) -> str | None:
    if "serve" in words:
        return "matcher"
    if "agent" in words and "run" in words:
        return f"agent {Path(words[words.index('--config') + 1]).parent.name}"
    return None


def _phases(bundle: Path) -> dict[str, int]:
    """Return the seconds between the entries of a log that begin and end each phase."""
    times: dict[str, datetime] = {}
    for path, content in read_bundle(bundle).items():
        if path.startswith("tile/entries/"):
            for entry in parse_entries(content, parse_tile_path(path).width):
                parsed = parse_entry(entry)
                # Of several entries of a type, the first: owners are asked twice.
                times.setdefault(parsed.type, parsed.time)
    return {
        name: round((times[last] - times[first]).total_seconds())
        for name, (first, last) in _PHASES.items()
    }


def _sent(
    artefacts: Path, token_bytes: int, records: Mapping[str, int], refinement: Refinement
) -> dict[str, int]:
    """Return the bytes that both parties sent and were sent, by what they are.

    Questions and answers are gone when a job has ended; with decoys it is always as much. The
    job tells nobody how attributes compare.
    """
    one, other = records.values()
    n_named, names = refinement.candidates * (one + other), NameForm()
    n_asked = n_named + 2 * most_drawn(one, other)
    width = RowForm(len(refinement.types), len(refinement.identifiers)).n_bytes
    kept: Counter[str] = Counter()
    for path in artefacts.glob("*/*"):
        what = path.name.split("-")[0].split(".")[0]
        kept[what] += path.stat().st_size - _SEAL_BYTES
    return {
        "up: tickets": kept["chunk"],
        "down: questions": n_asked * (1 + ticket_bytes(token_bytes)),
        "up: answers": n_asked * width,
        "down: shares": n_asked * (1 + ticket_bytes(token_bytes)) + n_named * names.share.itemsize,
        "up: names": n_named * names.row.itemsize,
        "down: results": kept["result"],
    }


def _quality(paths: Mapping[str, Path], truth: Mapping[str, Mapping[str, str]]) -> Quality:
    """Join the two agents' outputs by link id, and count the pairs that are right."""
    one, other = truth
    linked: dict[str, tuple[list[str], list[str]]] = {}
    for side, party in enumerate((one, other)):
        with paths[party].open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                pair = linked.setdefault(row["link_id"], ([], []))
                pair[side].append(truth[party][row["record_id"]])
    persons = Counter(truth[one].values()), Counter(truth[other].values())
    n_true = sum(n * persons[1][person] for person, n in persons[0].items())
    found = sum(len(ours) * len(theirs) for ours, theirs in linked.values())
    correct = sum(theirs.count(person) for ours, theirs in linked.values() for person in ours)
    return Quality(n_true, found, correct)
