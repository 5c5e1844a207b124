"""One run of the memory benchmark, in a process of its own.

`make N FOLDER` writes a synthetic register; `encode SCHEME FOLDER` encodes it as an agent
does, and prints what that took as JSON.
"""

import datetime
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.schemes import parse_scheme, schema_of
from benchmarks.speed import EXPERIMENT, speed_records
from keys.derive import KEY_BYTES, KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens, book_of, meetings
from linkage.agent.config import Agreement, SourceConfig
from linkage.agent.encoding import RecordEncoder, RecordValues
from linkage.agent.references import References
from linkage.agent.session import block_form
from linkage.agent.source import Source
from linkage.agent.spool import Spool
from linkage.encode.encoder import schema_id
from linkage.job import CodeId
from linkage.store.artefacts import ArtefactStore

_AGREEMENT = Agreement(id="benchmark", purpose="benchmark", parties=("a", "b"))
_TOMORROW = datetime.timedelta(days=1)
_KIB_PER_MIB = 1_024


def make(n_records: int, folder: Path) -> None:
    """Write a synthetic register, its records numbered as an agency does."""
    table = speed_records(n_records)
    numbers = pa.array(np.char.mod("%09d", np.arange(table.num_rows)))
    pyarrow.csv.write_csv(table.add_column(0, "record_id", numbers), folder / "register.csv")


def encode(scheme: str, folder: Path) -> dict[str, float]:
    """Encode the register into an encrypted spool, and return what that took."""
    schema = schema_of(EXPERIMENT, parse_scheme(scheme))
    config = SourceConfig(path=folder / "register.csv")
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
    references = References(store, _AGREEMENT, expires)
    spool = Spool(store, "benchmark", expires)
    start_mib = _peak_mib()
    started = time.perf_counter()
    tables = Source(config, schema).chunks()
    (meeting,) = meetings("benchmark", "a", _AGREEMENT.parties)
    if schema.match.rounds == 1:
        encoder = RecordEncoder(schema, config, key)
        manifest = spool.fill(
            tables,
            encoder.encode,
            references,
            codes,
            lambda values, own: block_tokens(schema, key, values, [meeting], own),
            lambda: bytes(32),
        )
    else:
        reader = RecordValues(schema, config, key)
        manifest = spool.fill_tickets(
            tables,
            lambda table: reader.values(reader.columns(table)),
            references,
            codes,
            lambda values, own: book_of(schema, key, meeting, own).tickets(values),
            lambda: bytes(32),
        )
    seconds = time.perf_counter() - started
    files = (folder / "artefacts" / "spool-benchmark").iterdir()
    return {
        "records": manifest.n_records,
        "peak_mib": _peak_mib(),
        "start_mib": start_mib,
        "seconds": seconds,
        "spool_mib": sum(file.stat().st_size for file in files) / (1 << 20),
    }


def _peak_mib() -> float:
    # Not ru_maxrss: Linux hands that of the process that started this one down to it.
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    (high_water,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    return int(high_water) / _KIB_PER_MIB


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(encode(sys.argv[2], Path(sys.argv[3]))))
