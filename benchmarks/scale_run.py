"""One run of the scale benchmark, in processes of their own.

`make N SCHEME FOLDER` makes two registers of N records each and encodes them as two agents
do; `link SCHEME FOLDER` finds candidates and links among them as a matcher does, and prints
what that took as JSON. With the scheme `tickets` they are those of a job of two rounds, where
codes are not made: candidates are the pairs that met, and owners would be asked next.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.schemes import parse_scheme, schema_of
from benchmarks.speed import EXPERIMENT
from keys.derive import KEY_BYTES, KeyContext, LinkageKey
from linkage.agent.blocktokens import Meeting, block_tokens, book_of
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordEncoder, RecordValues
from linkage.agent.session import refinement_of
from linkage.block.met import met_pairs
from linkage.block.shared import meeting_pairs, shared_pairs
from linkage.compare.candidates import Candidates, concatenate
from linkage.compare.listed import Best, keep_best
from linkage.encode.encoder import schema_id
from linkage.encode.oncetokens import Side
from linkage.engine.local import run_all, run_task
from linkage.engine.plan import Task, plan
from linkage.engine.questions import select_questions
from linkage.engine.records import Inputs, prepare
from linkage.job import REFERENCE_BYTES
from linkage.schema import LinkageSchema
from linkage.solve.groups import solve_groups
from linkage.synthetic import Mix, generate_population, make_registers
from linkage.ticket import Tickets

REGISTERS = ("dukcapil", "imigrasi")
TICKETS = "tickets"
CANDIDATES = 10
_KIB_PER_MIB = 1_024
_ROWS = 65_536
# Of this many persons some 1.04 stand in the one register for one in the other.
_PERSONS_PER_RECORD = 2.0
_MIX = Mix(passports=0.92)
_OVERLAP = 0.6
_SEED = 1


def make(n_records: int, scheme: str, folder: Path) -> None:
    """Make and encode two registers, at most `n_records` of each."""
    tickets = scheme == TICKETS
    schema = _schema(scheme)
    population = generate_population(int(_PERSONS_PER_RECORD * n_records), _SEED, mix=_MIX)
    registers = make_registers(population, REGISTERS, "ordinary", _SEED, _OVERLAP)
    tables = [registers.tables[name] for name in REGISTERS]
    del population, registers
    key = LinkageKey(bytes(KEY_BYTES), KeyContext("scale", schema_id(schema), "scale", 1))
    persons = []
    for side, whole in enumerate(tables):
        # Shuffled, for registers are ordered by family.
        kept = np.random.default_rng(side).permutation(whole.num_rows)[:n_records]
        table = whole.take(np.sort(kept))
        persons.append(np.array(table["entity_id"].to_pylist()))
        meeting: Meeting = ("scale", "left" if side == 0 else "right")
        if tickets:
            _keep_tickets(schema, key, meeting, table, folder / str(side))
            continue
        encoder = RecordEncoder(schema, SourceConfig(path=folder), key)
        codes, values = [], []
        for start in range(0, table.num_rows, _ROWS):
            encoded = encoder.encode(table.slice(start, _ROWS))
            codes.append(encoded.codes)
            values.append(encoded.values)
        np.save(folder / f"codes-{side}.npy", np.concatenate(codes))
        ours = np.concatenate(values)
        del codes, values
        for number, tokens in enumerate(block_tokens(schema, key, ours, [meeting])):
            np.save(folder / f"tokens-{side}-{number}.npy", tokens)
    _, numbers = np.unique(np.concatenate(persons), return_inverse=True)
    np.save(folder / "persons-0.npy", numbers[: len(persons[0])])
    np.save(folder / "persons-1.npy", numbers[len(persons[0]) :])


def _schema(scheme: str) -> LinkageSchema:
    if scheme == TICKETS:
        return schema_of(EXPERIMENT, parse_scheme("saul").refined(CANDIDATES))
    return schema_of(EXPERIMENT, parse_scheme(scheme)).with_rounds(1).blocked()


def _keep_tickets(
    schema: LinkageSchema, key: LinkageKey, meeting: Meeting, table: pa.Table, folder: Path
) -> None:
    """Make the tickets of a register as its agent does, and what finds its records again."""
    folder.mkdir()
    reader = RecordValues(schema, SourceConfig(path=folder), key)
    parts = [
        reader.values(reader.columns(table.slice(start, _ROWS)))
        for start in range(0, table.num_rows, _ROWS)
    ]
    references = os.urandom(REFERENCE_BYTES * table.num_rows)
    (folder / "references").write_bytes(references)
    book = book_of(schema, key, meeting, references)
    for number, of_entry in enumerate(book.tickets(np.concatenate(parts))):
        np.savez(folder / f"{number}.npz", token=of_entry.token, mark=of_entry.mark)


def meet(folder: Path) -> dict[str, float]:
    """Let tickets meet, choose questions, and return what that took."""
    schema, start_mib = _schema(TICKETS), _peak_mib()
    references = [(folder / str(side) / "references").read_bytes() for side in (0, 1)]
    n_left, n_right = (len(one) // REFERENCE_BYTES for one in references)
    refinement = refinement_of(schema)
    if refinement is None:
        raise ValueError("a job of one round has no tickets")
    rng, started = np.random.default_rng(_SEED), time.perf_counter()
    met = met_pairs(zip(*(_tickets(folder / str(side)) for side in (0, 1)), strict=True), rng)
    joined = time.perf_counter()
    asked = select_questions(met, (n_left, n_right), None, refinement, rng).questions
    ended, peak_mib = time.perf_counter(), _peak_mib()
    key = LinkageKey(bytes(KEY_BYTES), KeyContext("scale", schema_id(schema), "scale", 1))
    sides: tuple[Side, Side] = ("left", "right")
    books = [
        book_of(schema, key, ("scale", side), own)
        for side, own in zip(sides, references, strict=True)
    ]
    persons = [np.load(folder / f"persons-{side}.npy") for side in (0, 1)]
    chosen = ~asked.drawn
    same = (
        persons[0][books[0].records(asked.left.at(chosen))]
        == persons[1][books[1].records(asked.right.at(chosen))]
    )
    true = _n_true(persons)
    return {
        "left": n_left,
        "right": n_right,
        "candidate_pairs": len(met),
        "pairs_true": true,
        "pairs_completeness": float(same.sum() / max(true, 1)),
        "links": 0,
        "joining_s": joined - started,
        "ranking_s": ended - joined,
        "solving_s": 0.0,
        "seconds": ended - started,
        "start_mib": start_mib,
        "peak_mib": peak_mib,
    }


def _tickets(folder: Path) -> Iterator[Tickets]:
    for number in itertools.count():
        path = folder / f"{number}.npz"
        if not path.exists():
            return
        with np.load(path) as arrays:
            yield Tickets.of_entry(number, arrays["token"], arrays["mark"])


def link(scheme: str, folder: Path, threads: int) -> dict[str, float]:
    """Find candidates and links, and return what that took."""
    if scheme == TICKETS:
        return meet(folder)
    schema = _schema(scheme)
    start_mib = _peak_mib()
    codes = [np.load(folder / f"codes-{side}.npy") for side in (0, 1)]
    parties = [prepare(one, schema.encoding.scheme) for one in codes]
    started = time.perf_counter()
    shared = shared_pairs(_meetings(schema, folder))
    joined = time.perf_counter()
    inputs = Inputs(parties, {(0, 1): shared}, have_tokens=True)
    tasks = plan(inputs, 0)
    ranked = concatenate(_run(tasks, inputs, threads))
    n_left, n_right = inputs.sizes
    best = _best_of_each(ranked, n_left)
    chosen = time.perf_counter()
    found = ranked.above(schema.threshold).shifted(0, n_left)
    file = np.repeat(np.arange(2, dtype=np.uint8), inputs.sizes)
    groups = solve_groups(found, file, frozenset())
    ended = time.perf_counter()
    persons = [np.load(folder / f"persons-{side}.npy") for side in (0, 1)]
    lefts = np.repeat(np.arange(n_left), np.diff(best.offsets))
    same = persons[0][lefts] == persons[1][best.columns]
    true = _n_true(persons)
    return {
        "left": n_left,
        "right": n_right,
        "candidate_pairs": len(shared),
        "pairs_true": true,
        "pairs_completeness": float(same.sum() / max(true, 1)),
        "links": len(groups.joined),
        "joining_s": joined - started,
        "ranking_s": chosen - joined,
        "solving_s": ended - chosen,
        "seconds": ended - started,
        "start_mib": start_mib,
        "peak_mib": _peak_mib(),
    }


def _n_true(persons: list[NDArray[np.int64]]) -> int:
    """Return how many pairs of records of the two registers are of one person."""
    common, of_left = np.unique(persons[0], return_counts=True)
    also, of_right = np.unique(persons[1], return_counts=True)
    _, at_left, at_right = np.intersect1d(common, also, return_indices=True)
    return int((of_left[at_left] * of_right[at_right]).sum())


def _run(tasks: list[Task], inputs: Inputs, threads: int) -> Iterator[Candidates]:
    for _, found in run_all(tasks, lambda task: run_task(task, inputs, 0.0), threads):
        yield found


def _best_of_each(found: Candidates, n_left: int) -> Best:
    """Return the best candidates of each left record."""
    order = np.argsort(found.left, kind="stable")
    offsets = np.searchsorted(found.left[order], np.arange(n_left + 1)).astype(np.int64)
    return keep_best(offsets, found.right[order], found.similarity[order], CANDIDATES, 0.0)


def _meetings(schema: LinkageSchema, folder: Path) -> Iterator[NDArray[np.uint64]]:
    for number in range(len(schema.block_entries)):
        sides = [np.load(folder / f"tokens-{side}-{number}.npy") for side in (0, 1)]
        yield meeting_pairs(sides[0], sides[1])


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    (high_water,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    return int(high_water) / _KIB_PER_MIB


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "make":
        make(int(rest[0]), rest[1], Path(rest[2]))
    else:
        print(json.dumps(link(rest[0], Path(rest[1]), int(rest[2]))))
