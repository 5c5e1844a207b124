"""One run of the scale benchmark, in processes of their own.

`make N SCHEME FOLDER` makes two registers of N records each and encodes them as two agents
do; `link SCHEME FOLDER` finds candidates and links among them as a matcher does, and prints
what that took as JSON.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.schemes import parse_scheme, schema_of
from benchmarks.speed import EXPERIMENT
from keys.derive import KEY_BYTES, KeyContext, LinkageKey
from linkage.agent.blocktokens import Meeting, block_tokens
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordEncoder
from linkage.block.shared import meeting_pairs, shared_pairs
from linkage.compare.candidates import Candidates, concatenate
from linkage.encode.encoder import schema_id
from linkage.engine.local import find_candidates, run_all
from linkage.engine.plan import Task, plan
from linkage.engine.records import Inputs, prepare
from linkage.engine.refinement import select_pairs
from linkage.schema import LinkageSchema
from linkage.solve.groups import solve_groups
from linkage.synthetic import Mix, generate_population, make_registers

REGISTERS = ("dukcapil", "imigrasi")
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
    schema = schema_of(EXPERIMENT, parse_scheme(scheme))
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
        encoder = RecordEncoder(schema, SourceConfig(path=folder), key)
        codes, values = [], []
        for start in range(0, table.num_rows, _ROWS):
            encoded = encoder.encode(table.slice(start, _ROWS))
            codes.append(encoded.codes)
            values.append(encoded.values)
        np.save(folder / f"codes-{side}.npy", np.concatenate(codes))
        ours = np.concatenate(values)
        del codes, values
        meeting: Meeting = ("scale", "left" if side == 0 else "right")
        for number, tokens in enumerate(block_tokens(schema, key, ours, [meeting])):
            np.save(folder / f"tokens-{side}-{number}.npy", tokens)
    _, numbers = np.unique(np.concatenate(persons), return_inverse=True)
    np.save(folder / "persons-0.npy", numbers[: len(persons[0])])
    np.save(folder / "persons-1.npy", numbers[len(persons[0]) :])


def link(scheme: str, folder: Path, threads: int) -> dict[str, float]:
    """Find candidates and links, and return what that took."""
    schema = schema_of(EXPERIMENT, parse_scheme(scheme)).with_rounds(1)
    start_mib = _peak_mib()
    codes = [np.load(folder / f"codes-{side}.npy") for side in (0, 1)]
    parties = [prepare(one, schema.encoding.scheme) for one in codes]
    started = time.perf_counter()
    shared = shared_pairs(_meetings(schema, folder))
    joined = time.perf_counter()
    inputs = Inputs(parties, {(0, 1): shared})
    tasks = plan(inputs, 0)
    ranked = concatenate(_run(tasks, inputs, threads))
    n_left, n_right = inputs.sizes
    rng = np.random.default_rng(_SEED)
    pairs = select_pairs(ranked, n_left, n_right, CANDIDATES, rng, decoys=False)
    chosen = time.perf_counter()
    alike = Candidates(ranked.left, ranked.right, np.modf(ranked.similarity)[0])
    found = alike.above(schema.threshold).shifted(0, n_left)
    file = np.repeat(np.arange(2, dtype=np.uint8), inputs.sizes)
    groups = solve_groups(found, file, frozenset())
    ended = time.perf_counter()
    persons = [np.load(folder / f"persons-{side}.npy") for side in (0, 1)]
    same = persons[0][pairs.left] == persons[1][pairs.right]
    common, of_left = np.unique(persons[0], return_counts=True)
    also, of_right = np.unique(persons[1], return_counts=True)
    both, at_left, at_right = np.intersect1d(common, also, return_indices=True)
    del both
    true = int((of_left[at_left] * of_right[at_right]).sum())
    return {
        "left": n_left,
        "right": n_right,
        "candidate_pairs": len(shared),
        "pairs_true": true,
        "pairs_completeness": float(same[~pairs.drawn].sum() / max(true, 1)),
        "links": len(groups.joined),
        "joining_s": joined - started,
        "ranking_s": chosen - joined,
        "solving_s": ended - chosen,
        "seconds": ended - started,
        "start_mib": start_mib,
        "peak_mib": _peak_mib(),
    }


def _run(tasks: list[Task], inputs: Inputs, threads: int) -> Iterator[Candidates]:
    for _, found in run_all(tasks, lambda task: find_candidates(task, inputs, 0.0), threads):
        yield found


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
