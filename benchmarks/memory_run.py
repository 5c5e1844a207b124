"""One run of the memory benchmark, in a process of its own.

`make N FOLDER` writes a synthetic register; `work WHAT FOLDER` does with it what an agent
does, and prints what that took as JSON: `tickets`, `answers` to questions about the tickets
made before, or codes under a scheme.
"""

import datetime
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.schemes import parse_scheme, schema_of
from benchmarks.speed import EXPERIMENT, speed_records
from keys.derive import KEY_BYTES, KeyContext, LinkageKey
from linkage.agent.blocktokens import all_tickets, block_tokens, book_of, meetings
from linkage.agent.config import Agreement, SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldrows import FieldRows
from linkage.agent.references import References
from linkage.agent.session import block_form
from linkage.agent.source import Source
from linkage.agent.spool import Reading, Spool
from linkage.batch import Manifest
from linkage.encode.encoder import Encoder, schema_id
from linkage.encode.oncetokens import BlockValues
from linkage.encode.pairkeys import pair_keys
from linkage.job import CodeId
from linkage.schema import LinkageSchema
from linkage.store.artefacts import ArtefactStore
from linkage.ticket import Tickets, read_rows

TICKETS, ANSWERS = "tickets", "answers"

_AGREEMENT = Agreement(id="benchmark", purpose="benchmark", parties=("a", "b"))
_TOMORROW = datetime.timedelta(days=1)
_KIB_PER_MIB = 1_024
_MIB = 1 << 20
(_MEETING,) = meetings("benchmark", "a", _AGREEMENT.parties)
# About so many questions a record, as many as a job asks with decoys.
_QUESTIONS = 10


def make(n_records: int, folder: Path) -> None:
    """Write a synthetic register, its records numbered as an agency does."""
    table = speed_records(n_records)
    numbers = pa.array(np.char.mod("%09d", np.arange(table.num_rows)))
    pyarrow.csv.write_csv(table.add_column(0, "record_id", numbers), folder / "register.csv")


@dataclass(frozen=True)
class _Agent:
    """What an agent works with."""

    schema: LinkageSchema
    source: SourceConfig
    key: LinkageKey
    codes: CodeId
    references: References
    spool: Spool

    def tables(self) -> Iterator[pa.Table]:
        return Source(self.source, self.schema).chunks()

    def reading(self) -> Reading:
        columns = RecordNormaliser(self.schema, self.source).columns
        return Reading(self.tables(), columns, self.references)


def _agent(what: str, folder: Path) -> _Agent:
    one_round = what not in (TICKETS, ANSWERS)
    scheme = parse_scheme(what) if one_round else parse_scheme("saul").refined(_QUESTIONS)
    schema = schema_of(EXPERIMENT, scheme)
    schema_digest = schema_id(schema)
    context = KeyContext(_AGREEMENT.id, schema_digest, _AGREEMENT.purpose, _AGREEMENT.epoch)
    key = LinkageKey(bytes(KEY_BYTES), context)
    codes = CodeId(
        schema_id=schema_digest,
        epoch=_AGREEMENT.epoch,
        key_check=key.key_check(),
        scheme=schema.encoding.scheme,
        code_bits=schema.encoding.code_bits,
        **block_form(schema),
    )
    store = ArtefactStore(folder / "artefacts", folder / "keystore")
    expires = datetime.datetime.now(datetime.UTC).date() + _TOMORROW
    source = SourceConfig(path=folder / "register.csv")
    references = References(store, _AGREEMENT, expires)
    job = "codes" if one_round else "tickets"
    return _Agent(schema, source, key, codes, references, Spool(store, job, expires))


def work(what: str, folder: Path) -> dict[str, float]:
    """Do one kind of work with the register, and return what it took."""
    agent = _agent(what, folder)
    start_mib = _peak_mib()
    started = time.perf_counter()
    if what == ANSWERS:
        records, n_bytes = _answer(agent)
    else:
        records = (_tickets if what == TICKETS else _codes)(agent).n_records
        files = (folder / "artefacts").glob(f"spool-{'tickets' if what == TICKETS else 'codes'}/*")
        n_bytes = sum(file.stat().st_size for file in files)
    return {
        "records": records,
        "peak_mib": _peak_mib(),
        "start_mib": start_mib,
        "seconds": time.perf_counter() - started,
        "sent_mib": n_bytes / _MIB,
    }


def _codes(agent: _Agent) -> Manifest:
    schema, key = agent.schema, agent.key
    return agent.spool.fill(
        agent.reading(),
        Encoder(schema, key, os.urandom).encode,
        agent.codes,
        lambda values, own, n: block_tokens(schema, key, values, [_MEETING], own, n),
    )


def _tickets(agent: _Agent) -> Manifest:
    schema, key = agent.schema, agent.key
    return agent.spool.fill_tickets(
        agent.reading(),
        BlockValues(schema, key.block_key).of,
        agent.codes,
        lambda values, own, n: all_tickets(schema, key, values, [_MEETING], own, n),
    )


def _answer(agent: _Agent) -> tuple[int, int]:
    """Return the number of records and of bytes answered, as `linkage.agent.refine` does it."""
    normaliser = RecordNormaliser(agent.schema, agent.source)
    rows, parts = FieldRows(agent.schema), list[bytes]()
    for table in agent.tables():
        rows.add(normaliser.columns(table))
        parts.append(agent.references.of(cast("list[str]", table["record_id"].to_pylist())))
    book = book_of(agent.schema, agent.key, _MEETING, b"".join(parts))
    key = agent.key.refine_key("benchmark", *_AGREEMENT.parties)
    n_bytes = 0
    for asked in _questions(agent):
        filters = rows.encode(book.records(asked), pair_keys(key, asked), "left")
        n_bytes += filters.nbytes
    return len(rows), n_bytes


def _questions(agent: _Agent) -> Iterator[Tickets]:
    """Yield some of the tickets in the spool, in the portions in which a matcher asks."""
    manifest = agent.spool.manifest()
    if manifest is None:
        raise ValueError("no tickets were made here")
    step = max(1, sum(manifest.n_tickets) // (_QUESTIONS * manifest.n_records))
    for entry in range(len(manifest.n_tickets)):
        for index in manifest.token_chunks(0, entry):
            content = np.frombuffer(agent.spool.chunk(manifest, index).tokens, dtype=np.uint8)
            asked = content.reshape(-1, manifest.row_bytes)[::step]
            yield Tickets.of_entry(entry, *read_rows(asked, agent.codes.block_bytes))


def _peak_mib() -> float:
    # Not ru_maxrss: Linux hands that of the process that started this one down to it.
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    (high_water,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    return int(high_water) / _KIB_PER_MIB


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(work(sys.argv[2], Path(sys.argv[3]))))
