"""The offline verifier of a match log bundle.

It trusts the trust file and nothing else: the tree is rebuilt from the entries,
every hash tile compared, every leaf parsed, every body held against its
commitment, and the root has to be the one that trusted keys signed. Any flipped
bit in a bundle is a finding. It shares the pure core with the server and none of
the server's own code.

A bad bundle never raises: the report says what is wrong with it. Whether what
the log records was allowed is for replay to say.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from linkage.audit import verdict
from linkage.audit.bundle_files import read_bundle
from linkage.audit.verdict import Finding, VerifyReport
from linkage.errors import (
    CheckpointError,
    MalformedMessageError,
    SignatureError,
    VerificationError,
)
from linkage.log.builder import TileBuilder
from linkage.log.bundle import CHECKPOINT, MANIFEST, check_path, manifest_differences
from linkage.log.bundle import parse_body_path as body_index
from linkage.log.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from linkage.log.entry import Entry, parse_body, parse_entry, verify_body
from linkage.log.note import Note, parse_note, verified_keys
from linkage.log.policy import Policy, parse_policy
from linkage.log.tiles import ENTRIES, TILE_WIDTH, Tile, parse_entries, tiles_of

# Enough to see what happened; a log of nothing but bad leaves should not fill memory.
_MAX_FINDINGS_PER_CODE = 20


def verify_bundle(path: Path, trust: bytes | None, since: bytes | None) -> VerifyReport:
    """Verify the bundle at `path`, a directory or a tar file.

    Args:
        path: of the bundle.
        trust: the trust file; without it the verdict is at best `UNPINNED`.
        since: the checkpoint that was kept from an earlier verification.

    Raises:
        ConfigError: the trust file does not parse.
    """
    policy = parse_policy(trust) if trust is not None else None
    try:
        files = read_bundle(path)
    except OSError as error:
        reason = error.strerror or "input or output failed"
        return _refused(verdict.UNREADABLE, f"the bundle cannot be read: {reason}")
    except MalformedMessageError as error:
        return _refused(verdict.MALFORMED, str(error))
    return verify_files(files, policy, since)


def verify_files(
    files: Mapping[str, bytes], policy: Policy | None, since: bytes | None
) -> VerifyReport:
    """Verify the files of a bundle, given by path. See `verify_bundle`."""
    return _Verification(files, policy, since).report()


def _refused(code: str, text: str) -> VerifyReport:
    return VerifyReport(code, findings=[Finding(code, text)])


class _Verification:
    """One run over one bundle; the checks in order, each adding what it finds."""

    def __init__(
        self, files: Mapping[str, bytes], policy: Policy | None, since: bytes | None
    ) -> None:
        self._files = files
        self._policy = policy
        self._since = since
        self._findings: list[Finding] = []
        self._per_code: Counter[str] = Counter()
        self._leaves: dict[int, Entry] = {}

    def report(self) -> VerifyReport:
        checkpoint = self._check_envelope()
        types: Counter[str] = Counter()
        bodies = 0
        pinned = None
        if checkpoint is not None:
            pinned = self._check_pin(checkpoint)
            if self._check_file_set(checkpoint.size):
                self._check_tree(checkpoint, pinned)
                types.update(leaf.type for leaf in self._leaves.values())
                bodies = self._check_bodies(checkpoint.size)
        if self._policy is None:
            self._add(verdict.UNPINNED, "no trust file: nobody vouches for this checkpoint")
        for code, count in self._per_code.items():
            if count > _MAX_FINDINGS_PER_CODE:
                text = f"and {count - _MAX_FINDINGS_PER_CODE} more"
                self._findings.append(Finding(code, text))
        clean = not self._findings or self._findings[0].code == verdict.UNPINNED
        return VerifyReport(
            verdict=self._findings[0].code if self._findings else verdict.OK,
            origin=checkpoint.origin if checkpoint else "",
            size=checkpoint.size if checkpoint else 0,
            root=checkpoint.root.hex() if checkpoint else "",
            since=pinned.size if pinned and clean else None,
            entries=dict(sorted(types.items())),
            bodies=bodies,
            findings=self._findings,
        )

    def _add(self, code: str, text: str) -> None:
        self._per_code[code] += 1
        if self._per_code[code] <= _MAX_FINDINGS_PER_CODE:
            self._findings.append(Finding(code, text))

    def _check_envelope(self) -> Checkpoint | None:
        """Check names, manifest and checkpoint; nothing comes back from which to go on."""
        for path in self._files:
            try:
                check_path(path)
            except MalformedMessageError:
                self._add(verdict.MALFORMED, "a file with a name that no bundle has")
        try:
            for difference in manifest_differences(self._files):
                self._add(verdict.MANIFEST_MISMATCH, difference)
        except MalformedMessageError as error:
            self._add(verdict.MALFORMED, f"{MANIFEST}: {error}")
        if CHECKPOINT not in self._files:
            self._add(verdict.MALFORMED, f"there is no {CHECKPOINT}")
            return None
        try:
            note = parse_note(self._files[CHECKPOINT])
            checkpoint = parse_checkpoint(note.text)
        except (SignatureError, CheckpointError) as error:
            self._add(verdict.MALFORMED, f"{CHECKPOINT}: {error}")
            return None
        if self._policy is not None:
            self._check_signatures(note, checkpoint, self._policy)
        return checkpoint

    def _check_signatures(self, note: Note, checkpoint: Checkpoint, policy: Policy) -> None:
        log_keys = policy.log_keys(checkpoint.origin)
        if not log_keys:
            self._add(verdict.ORIGIN_MISMATCH, f"the trust file has no log {checkpoint.origin}")
            return
        keys = (*log_keys, *policy.witness_keys())
        try:
            signed = verified_keys(note, keys, refuse_unknown=True)
        except SignatureError as error:
            self._add(verdict.SIGNATURE_INVALID, f"{CHECKPOINT}: {error}")
            return
        if not set(log_keys).intersection(signed):
            self._add(verdict.SIGNATURE_INVALID, f"{CHECKPOINT}: the log itself has not signed")
        if not policy.quorum_met(policy.witness_names(signed)):
            self._add(verdict.QUORUM_NOT_MET, f"the cosignatures do not make up {policy.quorum}")

    def _check_pin(self, checkpoint: Checkpoint) -> Checkpoint | None:
        if self._since is None:
            return None
        try:
            if self._policy is None:
                pinned = parse_checkpoint(parse_note(self._since).text)
            else:
                keys = self._policy.log_keys(checkpoint.origin)
                pinned = verify_checkpoint(self._since, keys)
        except (SignatureError, CheckpointError) as error:
            self._add(verdict.PIN_INVALID, f"the pinned checkpoint: {error}")
            return None
        if pinned.origin != checkpoint.origin:
            self._add(verdict.ORIGIN_MISMATCH, f"the pinned checkpoint is of {pinned.origin}")
            return None
        if pinned.size > checkpoint.size:
            self._add(
                verdict.INCONSISTENT_WITH_PINNED,
                f"the log had {pinned.size} entries and now shows {checkpoint.size}",
            )
            return None
        return pinned

    def _check_file_set(self, size: int) -> bool:
        """Check that there are exactly the tiles of a log of `size`; say whether to go on."""
        # Counted first: a checkpoint may claim more tiles than anyone can list.
        if -(-size // TILE_WIDTH) > len(self._files):
            self._add(verdict.FILE_MISSING, f"too few files for {size} entries")
            return False
        wanted = {tile.path for tile in tiles_of(size)}
        present = {path for path in self._files if path.startswith("tile/")}
        for path in sorted(wanted - present):
            self._add(verdict.FILE_MISSING, f"{path} is missing")
        for path in sorted(present - wanted):
            self._add(verdict.FILE_UNEXPECTED, f"{path} is not of a log of {size} entries")
        return wanted <= present

    def _check_tree(self, checkpoint: Checkpoint, pinned: Checkpoint | None) -> None:
        """Rebuild the tree from the entries; compare tiles, pinned root and root."""
        builder = TileBuilder()
        self._compare_pin(builder, pinned)
        for tile in tiles_of(checkpoint.size):
            if tile.level != ENTRIES:
                break
            try:
                entries = parse_entries(self._files[tile.path], tile.width)
            except MalformedMessageError as error:
                self._add(verdict.MALFORMED, f"{tile.path}: {error}")
                return
            for entry in entries:
                self._check_leaf(builder.size, entry)
                for built, data in builder.append(entry):
                    self._compare_tile(built, data)
                self._compare_pin(builder, pinned)
        for built, data in builder.partial_tiles():
            self._compare_tile(built, data)
        if builder.root() != checkpoint.root:
            self._add(verdict.ROOT_MISMATCH, f"the entries give the root {builder.root().hex()}")

    def _compare_tile(self, tile: Tile, data: bytes) -> None:
        if tile.level != ENTRIES and self._files[tile.path] != data:
            self._add(verdict.TILE_MISMATCH, f"{tile.path} is not what the entries give")

    def _compare_pin(self, builder: TileBuilder, pinned: Checkpoint | None) -> None:
        if pinned is not None and builder.size == pinned.size and builder.root() != pinned.root:
            self._add(
                verdict.INCONSISTENT_WITH_PINNED,
                f"the first {pinned.size} entries are not those of the pinned checkpoint",
            )

    def _check_leaf(self, index: int, entry: bytes) -> None:
        try:
            leaf = parse_entry(entry)
        except MalformedMessageError as error:
            self._add(verdict.LEAF_INVALID, f"leaf {index}: {error}")
            return
        if leaf.ref and leaf.ref[-1] >= index:
            self._add(verdict.LEAF_INVALID, f"leaf {index}: it refers to leaf {leaf.ref[-1]}")
        self._leaves[index] = leaf

    def _check_bodies(self, size: int) -> int:
        """Hold every body against its leaf; return how many belong to theirs."""
        n_good = 0
        for path in sorted(self._files):
            if not path.startswith("bodies/"):
                continue
            try:
                index = body_index(path)
                opening, body = parse_body(self._files[path])
            except MalformedMessageError as error:
                self._add(verdict.MALFORMED, f"{path}: {error}")
                continue
            if index >= size:
                self._add(verdict.FILE_UNEXPECTED, f"{path} is not of a log of {size} entries")
            elif index in self._leaves:
                try:
                    verify_body(self._leaves[index], opening, body)
                    n_good += 1
                except VerificationError as error:
                    self._add(verdict.BODY_MISMATCH, f"{path}: {error}")
        return n_good
