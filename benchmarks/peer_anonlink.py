"""Runs clkhash and anonlink inside their own environment, as a peer of the kernels.

Reads a job as JSON from stdin and answers in JSON on stdout; arrays are files. `encode`
makes the codes that both sides compare, `compare` finds the pairs above a threshold and
`solve` links candidate pairs greedily. Seconds are of the processor, best of the
repetitions; nothing of ours is imported.
"""

import json
import sys
import time
from array import array
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import anonlink
import numpy as np
from anonlink.similarities._utils import sort_similarities_inplace
from bitarray import bitarray
from peer_clkhash import encode as encode_rows
from peer_clkhash import schema_of


def encode(job: dict[str, Any]) -> dict[str, Any]:
    """Encode the records of each file and save the codes, a row of bytes each."""
    schema = schema_of(job["columns"], job["bits"])
    for rows, output in zip(job["records"], job["outputs"], strict=True):
        codes = encode_rows(job, schema, rows)
        packed = np.frombuffer(b"".join(code.tobytes() for code in codes), dtype=np.uint8)
        np.save(output, packed.reshape(len(codes), -1))
    return {}


def compare(job: dict[str, Any]) -> dict[str, Any]:
    """Find all pairs above a threshold; save them if asked to."""
    files = [loaded(path)[: job["records"]] for path in job["codes"]]

    def run() -> Any:
        found = anonlink.similarities.dice_coefficient_accelerated(files, job["threshold"])
        rows, columns = (np.asarray(side) for side in found[1])
        total = int(rows.sum(dtype=np.int64)) * len(files[1]) + int(columns.sum(dtype=np.int64))
        return rows, columns, np.asarray(found[0]), total

    seconds, (rows, columns, similarity, total) = timed(run, job["repeats"])
    if "output" in job:
        np.savez(job["output"], left=rows, right=columns, similarity=similarity)
    return {"seconds": seconds, "pairs": len(rows), "checksum": total}


def solve(job: dict[str, Any]) -> dict[str, Any]:
    """Put candidate pairs in order and link them greedily; save the links."""
    with np.load(job["candidates"]) as pairs:
        similarity, left, right = (pairs[name] for name in ("similarity", "left", "right"))

    def run() -> Any:
        # The ordering works in place, and is a part of finding candidates in anonlink.
        columns = array("d", similarity.tobytes()), array("I", left.tobytes())
        candidates = (columns[0], columns[1], array("I", right.tobytes()))
        started = time.process_time()
        sort_similarities_inplace(*candidates)
        first, second = array("I", bytes(4 * len(left))), array("I", [1]) * len(left)
        groups = anonlink.solving.greedy_solve(
            (candidates[0], (first, second), (candidates[1], candidates[2]))
        )
        return time.process_time() - started, list(groups)

    runs = [run() for _ in range(job["repeats"])]
    links = sorted(tuple(record for _, record in sorted(group)) for group in runs[0][1])
    np.save(job["output"], np.array(links, dtype=np.int64).reshape(-1, 2))
    return {"seconds": min(seconds for seconds, _ in runs)}


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the least seconds of some runs, and what the last one gave."""
    best, result = float("inf"), None
    for _ in range(repeats):
        started = time.process_time()
        result = run()
        best = min(best, time.process_time() - started)
    return best, result


def loaded(path: str) -> list[bitarray]:
    """Return saved codes in the form that anonlink takes."""
    codes = []
    for row in np.load(path):
        code = bitarray()
        code.frombytes(row.tobytes())
        codes.append(code)
    return codes


def main() -> None:
    """Run the job on stdin."""
    job = json.load(sys.stdin)
    answer = {"encode": encode, "compare": compare, "solve": solve}[job["task"]](job)
    answer["versions"] = {name: version(name) for name in ("clkhash", "anonlink", "numpy")}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
