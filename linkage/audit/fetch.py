"""A bundle of the log, built from what the matcher serves to an auditor.

The tiles are computed here from the leaves, so the bundle holds what the leaves
say and not what the operator's files say; whether both are the same, and whether
the checkpoint covers them, is `verify`'s to find.
"""

import grpc

from linkage.audit.lookups import LookupRequest
from linkage.errors import CheckpointError, MalformedMessageError
from linkage.log.builder import TileBuilder
from linkage.log.bundle import CHECKPOINT, body_path, build_bundle
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.cosigned import cut_to, newest_cosigned
from linkage.log.entry import format_body
from linkage.log.note import parse_note
from linkage.log.policy import NO_QUORUM, Policy
from linkage.log.tiles import Tile
from linkage.rpc.channel import repeated
from linkage.rpc.entries import entries_in
from linkage.rpc.patience import Patience
from linkage.v1 import log_pb2, log_pb2_grpc, lookup_pb2, lookup_pb2_grpc

_DEADLINE_S = 30.0
_STREAM_DEADLINE_S = 3600.0


def fetch_bundle(
    channel: grpc.Channel, patience_s: float = 30.0, trust: Policy | None = None
) -> dict[str, bytes]:
    """Return a bundle of everything that the log holds now, by path.

    Args:
        channel: an open channel to the matcher, as an auditor or a party.
        patience_s: how long to try again while the matcher cannot be reached.
        trust: the trust file; where it asks for witnesses the bundle reaches to the newest
            checkpoint that enough of them have cosigned.

    Raises:
        CheckpointError: the matcher serves no well-formed checkpoint, or fewer
            leaves than it covers.
        SignatureError: no checkpoint is cosigned as the trust file asks; naming who is missing.
    """
    log = log_pb2_grpc.LogServiceStub(channel)

    def checkpoint(cosigned_before: int = 0) -> bytes:
        request = log_pb2.GetCheckpointRequest(cosigned_before=cosigned_before)
        return repeated(
            lambda: log.GetCheckpoint(request, timeout=_DEADLINE_S), Patience(patience_s)
        ).checkpoint

    if trust is None or trust.quorum == NO_QUORUM:
        note = checkpoint()
    else:
        note = newest_cosigned(checkpoint, trust)
    if trust is not None:
        note = cut_to(note, trust)
    size = parse_checkpoint(parse_note(note).text).size
    request = log_pb2.GetEntriesRequest(start=0, end=size)
    try:
        entries = repeated(
            lambda: entries_in(log.GetEntries(request, timeout=_STREAM_DEADLINE_S), 0, size),
            Patience(patience_s),
        )
    except MalformedMessageError as error:
        raise CheckpointError(
            f"the matcher serves other leaves than the {size} of its checkpoint"
        ) from error
    files = {CHECKPOINT: note}
    builder = TileBuilder()
    tiles: list[tuple[Tile, bytes]] = []
    for entry in entries:
        tiles += builder.append(entry.leaf)
        if entry.opening:
            files[body_path(entry.index)] = format_body(entry.opening, entry.body)
    tiles += builder.partial_tiles()
    return build_bundle(files | {tile.path: data for tile, data in tiles})


def fetch_lookups(
    channel: grpc.Channel, leaf: int, patience_s: float = 30.0
) -> list[LookupRequest]:
    """Return the signed requests of lookups that a leaf of the log has the root of.

    Args:
        channel: an open channel to the matcher, as an auditor.
        leaf: index of the leaf.
        patience_s: how long to try again while the matcher cannot be reached.

    Raises:
        NotFoundError: the leaf records no lookups, as far as the matcher says.
    """
    stub = lookup_pb2_grpc.LookupServiceStub(channel)
    request = lookup_pb2.FetchLookupsRequest(leaf_index=leaf)
    messages = repeated(
        lambda: list(stub.FetchLookups(request, timeout=_STREAM_DEADLINE_S)), Patience(patience_s)
    )
    return [LookupRequest(one.grant, one.sequence, one.request) for one in messages]
