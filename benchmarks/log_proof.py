"""From a signed request to a proof that all parties vouch for, over real gRPC with TLS.

A matcher in a process of its own, and parties in this one, each with its own certificate, channel,
copy of the log on disk and key to cosign with: what they do while a job waits for them. One of
them sends a signed request for a job; the clock stops when it holds a receipt that `verify_receipt`
takes under a trust file that asks for all parties. What is left out is the network between them.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc

from linkage.agent.client import MatcherClient
from linkage.agent.cosigning import POLL_S, Witness
from linkage.agent.mirror import Mirror
from linkage.agent.session import load_trust
from linkage.cli.demo_break import SCHEMA, Signs, proper_job
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DemoSite
from linkage.errors import MalformedMessageError, SignatureError
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.cosigned import verify_cosigned
from linkage.log.note import parse_note
from linkage.log.policy import Policy
from linkage.log.receipt import Receipt, format_receipt, verify_receipt
from linkage.rpc.channel import open_channel
from linkage.rpc.tls import TlsFiles
from linkage.v1 import log_pb2, log_pb2_grpc

_ROW = {"record_id": "1", "nama": "Siti Aminah", "tgl_lahir": "1990-08-17"}
_ASK_S = 0.02
_GIVE_UP_S = 60.0


def measure_proofs(folder: Path, n_parties: int, rounds: int) -> list[float]:
    """Return the seconds from each signed request to its verified receipt.

    Args:
        folder: empty, for a matcher and its parties.
        n_parties: all of which cosign.
        rounds: number of requests, one after another.
    """
    names = [f"pihak-{number}" for number in range(n_parties)]
    site = DemoSite(folder, DemoData(SCHEMA, {name: DemoParty([_ROW]) for name in names}))
    site.prepare()
    # Any two quorums of fewer share an honest party; here all of them are waited for.
    trust = load_trust(site.trust)
    groups = [
        replace(group, threshold=n_parties) if group.name == trust.quorum else group
        for group in trust.groups
    ]
    policy = replace(trust, groups=tuple(groups))
    site.start_matcher(make_keys=False)
    try:
        with _cosigning(site, names), _channel(site, names[0]) as channel:
            client = MatcherClient(channel, 10.0, Signs(site, names[0]))
            log = log_pb2_grpc.LogServiceStub(channel)
            times = []
            for _ in range(rounds):
                started = time.perf_counter()
                client.request_job(proper_job(site))
                index = _size(client.checkpoint()) - 1
                _prove(log, index, policy)
                times.append(time.perf_counter() - started)
    finally:
        site.stop_matcher()
    return times


def _prove(log: log_pb2_grpc.LogServiceStub, index: int, policy: Policy) -> None:
    """Fetch and verify the receipt of a leaf, as soon as there can be one."""
    give_up = time.monotonic() + _GIVE_UP_S
    request = log_pb2.GetCheckpointRequest(cosigned_before=2**63)
    while time.monotonic() < give_up:
        note = log.GetCheckpoint(request).checkpoint
        with suppress(SignatureError):
            if note and _size(note) > index and verify_cosigned(note, policy):
                break
        time.sleep(_ASK_S)
    asked = log_pb2.GetInclusionProofRequest(index=index, tree_size=_size(note))
    proof = tuple(log.GetInclusionProof(asked).hashes)
    (entry,) = log.GetEntries(log_pb2.GetEntriesRequest(start=index, end=index + 1))
    verify_receipt(format_receipt(Receipt(index, proof, note)), entry.leaf, policy)


@contextmanager
def _cosigning(site: DemoSite, names: Sequence[str]) -> Iterator[None]:
    """Let all parties cosign as long as the block runs."""
    stop = threading.Event()

    def attend(name: str) -> None:
        with _channel(site, name) as channel:
            client = MatcherClient(channel, 10.0)
            mirror = Mirror(site.root / "agents" / name / "work" / "log", load_trust(site.trust))
            witness = Witness(mirror, site.cosigners[name])
            while not stop.wait(POLL_S):
                # The checkpoint's turn may be over when the line arrives: ask again.
                with suppress(MalformedMessageError):
                    witness.cosign(client)

    threads = [threading.Thread(target=attend, args=(name,)) for name in names]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        yield


@contextmanager
def _channel(site: DemoSite, name: str) -> Iterator[grpc.Channel]:
    folder = site.root / "agents" / name
    names = ("certificate.pem", "private-key.pem", "authority.pem")
    tls = TlsFiles(*(folder / one for one in names))
    with open_channel(site.address, tls) as channel:
        yield channel


def _size(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size
