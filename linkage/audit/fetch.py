"""A bundle of the log, built from what the matcher serves to an auditor.

The tiles are computed here from the leaves, so the bundle holds what the leaves
say and not what the operator's files say; whether both are the same, and whether
the checkpoint covers them, is `verify`'s to find.
"""

import grpc

from linkage.errors import CheckpointError
from linkage.log.builder import TileBuilder
from linkage.log.bundle import CHECKPOINT, body_path, build_bundle
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.entry import format_body
from linkage.log.note import parse_note
from linkage.log.tiles import Tile
from linkage.rpc.channel import repeated
from linkage.v1 import log_pb2, log_pb2_grpc

_DEADLINE_S = 30.0
_STREAM_DEADLINE_S = 3600.0


def fetch_bundle(channel: grpc.Channel, patience_s: float = 30.0) -> dict[str, bytes]:
    """Return a bundle of everything that the log holds now, by path.

    Args:
        channel: an open channel to the matcher, as an auditor or a party.
        patience_s: how long to try again while the matcher cannot be reached.

    Raises:
        CheckpointError: the matcher serves no well-formed checkpoint, or fewer
            leaves than it covers.
    """
    log = log_pb2_grpc.LogServiceStub(channel)
    note = repeated(
        lambda: log.GetCheckpoint(log_pb2.GetCheckpointRequest(), timeout=_DEADLINE_S), patience_s
    ).checkpoint
    size = parse_checkpoint(parse_note(note).text).size
    request = log_pb2.GetEntriesRequest(start=0, end=size)
    entries = repeated(
        lambda: list(log.GetEntries(request, timeout=_STREAM_DEADLINE_S)), patience_s
    )
    if [entry.index for entry in entries] != list(range(size)):
        raise CheckpointError(f"the matcher serves other leaves than the {size} of its checkpoint")
    files = {CHECKPOINT: note}
    builder = TileBuilder()
    tiles: list[tuple[Tile, bytes]] = []
    for entry in entries:
        tiles += builder.append(entry.leaf)
        if entry.opening:
            files[body_path(entry.index)] = format_body(entry.opening, entry.body)
    tiles += builder.partial_tiles()
    return build_bundle(files | {tile.path: data for tile, data in tiles})
