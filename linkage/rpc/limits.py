"""Who may call what, for how long, and how large a message may be.

An RPC without an entry here is refused, and a test over the descriptors fails.
"""

from dataclasses import dataclass

from keys.identity import Role

MAX_MESSAGE_BYTES = 4 << 20
GRACE_S = 10.0
# At hand at once, of all callers; most are streams that wait for progress.
MAX_CALLS = 1_024
# Of these, of one identity.
CALLS_AT_HAND = 64

SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 8192),
    ("grpc.max_concurrent_streams", 32),
    ("grpc.max_connection_idle_ms", 600_000),
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.so_reuseport", 0),
)
CLIENT_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
    # A line that went dark without a word is noticed after three minutes; no sooner, for on a
    # slow one a ping waits behind what is being sent.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 120_000),
    # How often and how long to try again is the caller's matter (`rpc.patience`).
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(frozen=True)
class Policy:
    """What holds for one RPC.

    Attributes:
        roles: roles that may call it.
        deadline_s: longest time that the server works on a call.
        bulk: whether its messages count for the bytes of a day. Those of the others do not, or
            who has none left could neither end a job nor revoke an office.
    """

    roles: frozenset[Role]
    deadline_s: float
    bulk: bool = False


_PARTY: frozenset[Role] = frozenset({"party"})
_TOLD: frozenset[Role] = frozenset({"party", "office", "coordinator"})
_MEMBER: frozenset[Role] = frozenset({"party", "office"})
_READER: frozenset[Role] = frozenset({"party", "office", "coordinator", "auditor"})
_AUDITOR: frozenset[Role] = frozenset({"auditor"})
_ANYBODY: frozenset[Role] = frozenset({"party", "office", "coordinator", "auditor", "matcher"})
_HOUR_S = 3600.0

POLICIES = {
    "/linkage.v1.DocumentService/SubmitDocument": Policy(_READER, 30),
    "/linkage.v1.DocumentService/FetchSealed": Policy(_MEMBER, 60),
    "/linkage.v1.JobService/RequestJob": Policy(_MEMBER, 30),
    "/linkage.v1.JobService/GetJob": Policy(_MEMBER, 30),
    "/linkage.v1.JobService/ListJobs": Policy(_MEMBER, 30),
    "/linkage.v1.JobService/CancelJob": Policy(_MEMBER, 30),
    "/linkage.v1.BatchService/OpenBatch": Policy(_MEMBER, 30),
    "/linkage.v1.BatchService/UploadChunks": Policy(_MEMBER, _HOUR_S, bulk=True),
    "/linkage.v1.BatchService/CommitBatch": Policy(_MEMBER, 60),
    "/linkage.v1.RefineService/FetchQuestions": Policy(_MEMBER, _HOUR_S),
    "/linkage.v1.RefineService/SendAnswers": Policy(_MEMBER, 24 * _HOUR_S, bulk=True),
    "/linkage.v1.LookupService/OpenRegister": Policy(_PARTY, 30),
    "/linkage.v1.LookupService/UploadRegister": Policy(_PARTY, _HOUR_S, bulk=True),
    "/linkage.v1.LookupService/CommitRegister": Policy(_PARTY, 60),
    "/linkage.v1.LookupService/Lookup": Policy(_MEMBER, 10),
    "/linkage.v1.LookupService/StreamLookups": Policy(_MEMBER, _HOUR_S),
    "/linkage.v1.LookupService/FetchLookups": Policy(_AUDITOR, _HOUR_S),
    "/linkage.v1.ProgressService/WatchProgress": Policy(_MEMBER, 24 * _HOUR_S),
    "/linkage.v1.ResultService/FetchResults": Policy(_TOLD, _HOUR_S),
    "/linkage.v1.LogService/GetCheckpoint": Policy(_READER, 30),
    "/linkage.v1.LogService/GetEntries": Policy(_READER, _HOUR_S),
    "/linkage.v1.LogService/GetInclusionProof": Policy(_READER, 30),
    "/linkage.v1.LogService/GetConsistencyProof": Policy(_READER, 30),
    "/linkage.v1.LogService/AddCosignature": Policy(_PARTY, 30),
    "/grpc.health.v1.Health/Check": Policy(_ANYBODY, 10),
    "/grpc.health.v1.Health/List": Policy(_ANYBODY, 10),
    "/grpc.health.v1.Health/Watch": Policy(_ANYBODY, 300),
}
