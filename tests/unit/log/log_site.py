"""A whole log for tests: keys, witnesses, trust file, leaves, and its bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from linkage.log.builder import TileBuilder
from linkage.log.bundle import body_path, build_bundle
from linkage.log.canonical import JsonObject, format_json
from linkage.log.checkpoint import Checkpoint, add_cosignatures, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.entry import Entry, commit_body, format_body, format_entry, is_confidential
from linkage.log.note import Ed25519Signer, Signer, format_lines, parse_note, signed_line
from linkage.log.policy import GroupLine, LogLine, Policy, WitnessLine, format_policy

ORIGIN = "log.padan.test/site"
START = datetime(2026, 1, 1, tzinfo=UTC)
OPENING = bytes(range(32))
AGREEMENT = "pks-1"


def seconds(leaf: int) -> int:
    """When leaf `leaf` was logged: one a minute."""
    return int((START + timedelta(minutes=leaf)).timestamp())


@dataclass(frozen=True)
class Site:
    """Keys of a log and of its witnesses; every key follows from `seed`.

    Two parties with both kinds of keys, one auditor with one; all have to cosign.
    """

    seed: int = 1

    def _ed25519(self, role: int) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.seed, role]) * 16)

    def _ml_dsa(self, role: int) -> MLDSA44PrivateKey:
        return MLDSA44PrivateKey.from_seed_bytes(bytes([self.seed, role]) * 16)

    def log_signers(self, now_s: int = 0) -> list[Signer]:
        return [
            Ed25519Signer(ORIGIN, self._ed25519(0)),
            Cosigner(ORIGIN, self._ml_dsa(0), lambda: now_s),
        ]

    def cosigners(self, now_s: int = 0) -> dict[str, Signer]:
        """By name in the trust file."""
        return {
            "dukcapil-classic": Cosigner("dukcapil", self._ed25519(1), lambda: now_s),
            "dukcapil-pq": Cosigner("dukcapil", self._ml_dsa(1), lambda: now_s),
            "imigrasi-classic": Cosigner("imigrasi", self._ed25519(2), lambda: now_s),
            "imigrasi-pq": Cosigner("imigrasi", self._ml_dsa(2), lambda: now_s),
            "auditor": Cosigner("auditor", self._ed25519(3), lambda: now_s),
        }

    @property
    def policy(self) -> Policy:
        return Policy(
            tuple(LogLine(signer.key) for signer in self.log_signers()),
            tuple(WitnessLine(name, one.key) for name, one in self.cosigners().items()),
            (
                GroupLine("dukcapil", 2, ("dukcapil-classic", "dukcapil-pq")),
                GroupLine("imigrasi", 2, ("imigrasi-classic", "imigrasi-pq")),
                GroupLine("everyone", 3, ("dukcapil", "imigrasi", "auditor")),
            ),
            "everyone",
        )

    @property
    def trust(self) -> bytes:
        return format_policy(self.policy, "Trust file of the tests")

    def checkpoint(self, head: Checkpoint, now_s: int, without: Sequence[str] = ()) -> bytes:
        """The signed head, cosigned by all witnesses but those named."""
        note = sign_checkpoint(head, *self.log_signers(now_s))
        text = parse_note(note).text.encode()
        signers = [one for name, one in self.cosigners(now_s).items() if name not in without]
        if not signers:
            return note
        lines = format_lines([signed_line(text, one) for one in signers])
        return add_cosignatures(note, lines, [one.key for one in signers])


def entry(
    leaf_type: str, minute: int, body: JsonObject, ref: Sequence[int] = (), **changes: object
) -> bytes:
    """A leaf, with a commitment under `OPENING` where its type is confidential."""
    fields: dict[str, object] = {"agreement": AGREEMENT, "actor": "party/dukcapil", **changes}
    secret = is_confidential(leaf_type)
    made = Entry(
        leaf_type,
        START + timedelta(minutes=minute),
        str(fields["actor"]),
        fields["agreement"],  # type: ignore[arg-type]
        tuple(ref),
        None if secret else body,
        commit_body(OPENING, format_json(body)) if secret else None,
    )
    return format_entry(made)


def job_leaves(n: int) -> list[bytes]:
    """Genesis, an enrolment, and then jobs of four leaves each."""
    leaves = [
        entry("genesis", 0, {"origin": ORIGIN}, agreement=None),
        entry("enrol", 1, {"party": "dukcapil"}, agreement=None),
    ]
    steps = ("job.request", "batch", "result", "release")
    while len(leaves) < n:
        at = len(leaves)
        leaves.append(entry(steps[(at - 2) % 4], at, {"n": at}, ref=(at - 1,)))
    return leaves[:n]


def bodies(leaves: Sequence[bytes]) -> dict[int, bytes]:
    """The bodies of the confidential leaves of `job_leaves`."""
    return {at: format_body(OPENING, format_json({"n": at})) for at in range(2, len(leaves))}


def head_of(leaves: Sequence[bytes], origin: str = ORIGIN) -> Checkpoint:
    builder = TileBuilder()
    for leaf in leaves:
        builder.append(leaf)
    return Checkpoint(origin, builder.size, builder.root())


def log_files(leaves: Sequence[bytes]) -> dict[str, bytes]:
    """The tiles of a log, by path."""
    builder = TileBuilder()
    tiles = [tile for leaf in leaves for tile in builder.append(leaf)]
    return {tile.path: data for tile, data in [*tiles, *builder.partial_tiles()]}


def bundle_of(
    leaves: Sequence[bytes], note: bytes, opened: Mapping[int, bytes] | None = None
) -> dict[str, bytes]:
    """The bundle of a log: checkpoint, tiles, bodies, manifest."""
    files = {"checkpoint": note, **log_files(leaves)}
    files |= {body_path(at): data for at, data in (opened or {}).items()}
    return build_bundle(files)


def signed_bundle(site: Site, leaves: Sequence[bytes], n_bodies: int = 2) -> dict[str, bytes]:
    """An honest bundle, cosigned a minute after its last leaf."""
    note = site.checkpoint(head_of(leaves), seconds(len(leaves)))
    opened = dict(list(bodies(leaves).items())[:n_bodies])
    return bundle_of(leaves, note, opened)


def resealed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files with a manifest that fits them, as a forger would make it.

    Names that `build_bundle` refuses are listed all the same.
    """
    from linkage.log.bundle import MANIFEST, format_manifest

    rest = {path: data for path, data in files.items() if path != MANIFEST}
    return dict(sorted({**rest, MANIFEST: format_manifest(rest)}.items()))
