"""The tables of the matcher's database.

A change here needs a step in `migrations`, or databases that exist would not have it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# One row: the version of the tables (`migrations`), and a mark of the matcher that writes.
store = Table(
    "store",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("writer", String(32)),
)

entries = Table(
    "entries",
    metadata,
    Column("index", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("leaf", LargeBinary, nullable=False),
    Column("agreement_id", String(64)),
    Column("job_id", String(32)),
    Column("opening", LargeBinary),
    Column("body", LargeBinary),
)

# One row: the head that the log last set out to sign.
signed_head = Table(
    "signed_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("agreement_id", String(64), nullable=False),
    Column("requester", String(32), nullable=False),
    Column("request_id", String(36), nullable=False),
    # What was signed under that id, by whom, and with which certificate.
    Column("request_sha256", LargeBinary, nullable=False),
    Column("actor", String(160), nullable=False),
    Column("key", String(64), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", String(32), nullable=False, index=True),
    Column("reason_code", String(64), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("requested_at", BigInteger, nullable=False),
    Column("collect_until", BigInteger, nullable=False),
    Column("comparisons_planned", BigInteger, nullable=False, default=0),
    Column("comparisons_done", BigInteger, nullable=False, default=0),
    Column("candidate_pairs", BigInteger, nullable=False, default=0),
    Column("links", BigInteger, nullable=False, default=0),
    Column("comparing_s", Float, nullable=False, default=0.0),
    Column("result_leaf", BigInteger),
    # The checkpoint under which the result was released, cosigned by its parties.
    Column("cosigned", LargeBinary),
    UniqueConstraint("requester", "request_id"),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String(32), primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.job_id"), nullable=False),
    Column("party", String(32), nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    # Who opened it, and with which certificate.
    Column("actor", String(160), nullable=False),
    Column("key", String(64), nullable=False),
    Column("next_chunk", Integer, nullable=False, default=0),
    Column("n_received", BigInteger, nullable=False, default=0),
    Column("committed", Boolean, nullable=False, default=False),
    Column("leaf", BigInteger),
    UniqueConstraint("job_id", "party"),
)

# Which answers of the second round have come.
refinements = Table(
    "refinements",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.job_id"), primary_key=True),
    Column("party", String(32), primary_key=True),
    Column("counterpart", String(32), primary_key=True),
    Column("n_chunks", Integer, nullable=False),
    Column("next_chunk", Integer, nullable=False),
)

# Finished comparison tasks of a running job, so that a restart repeats none.
tasks = Table(
    "tasks",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.job_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("pairs", BigInteger, nullable=False),
)

# Uploads of standing registers; a register is its last whole upload and those built on it.
registers = Table(
    "registers",
    metadata,
    Column("upload_id", String(32), primary_key=True),
    Column("agreement_id", String(64), nullable=False),
    Column("party", String(32), nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("expires", String(10), nullable=False),
    Column("next_chunk", Integer, nullable=False, default=0),
    Column("n_received", BigInteger, nullable=False, default=0),
    # 0 until the upload is complete and logged.
    Column("revision", Integer, nullable=False, default=0),
    Column("leaf", BigInteger),
)

# Lookups by minute; those of a minute that has ended are logged together.
lookups = Table(
    "lookups",
    metadata,
    Column("agreement_id", String(64), primary_key=True),
    # Minutes since 1970.
    Column("minute", BigInteger, primary_key=True),
    # Role and name of who asked.
    Column("caller", String(80), primary_key=True),
    Column("register", String(32), primary_key=True),
    # "" where there was none.
    Column("grant_id", String(32), primary_key=True),
    # The certificate shown last, and the size of the checkpoint that covered the grant.
    Column("key", String(64), nullable=False, default=""),
    Column("cosigned", BigInteger, nullable=False, default=0),
    Column("answered", BigInteger, nullable=False, default=0),
    Column("refused", BigInteger, nullable=False, default=0),
    # The last number given to an answer of this row; 0 where there was none.
    Column("sequence", BigInteger, nullable=False, default=0),
    Column("leaf", BigInteger),
)

# The signed request of every lookup that was answered, until nobody may ask for it any more.
lookup_requests = Table(
    "lookup_requests",
    metadata,
    Column("grant_id", String(32), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("minute", BigInteger, nullable=False, index=True),
    Column("request", LargeBinary, nullable=False),
)

# Bytes that a party with its offices, or one office, has sent on the day that was counted last.
volumes = Table(
    "volumes",
    metadata,
    Column("account", String(160), primary_key=True),
    # Days since 1970.
    Column("day", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
)

# Grants under which nothing is answered any more, for lookups under them looked like probing.
suspensions = Table(
    "suspensions",
    metadata,
    Column("grant_id", String(32), primary_key=True),
    # When the grant ends by itself, in seconds since 1970.
    Column("until", BigInteger, nullable=False),
)

# Under which checkpoint all parties of an agreement last cosigned the log.
cosigned = Table(
    "cosigned",
    metadata,
    Column("agreement_id", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
)

# Keys to be destroyed, with the records to be logged; written before the first of them goes.
destructions = Table(
    "destructions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("agreement_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("leaf", BigInteger),
)
