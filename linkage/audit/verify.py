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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keys.dsse import Envelope
from linkage.audit import verdict
from linkage.audit.bundle_files import read_bundle
from linkage.audit.leaves import (
    PART_LEAVES,
    Part,
    Problem,
    ReadLeaf,
    Run,
    read_part,
    signing_keys,
)
from linkage.audit.verdict import Finding, VerifyReport
from linkage.audit.vouched import Pin, check_vouched, open_pin
from linkage.errors import (
    CheckpointError,
    MalformedMessageError,
    SignatureError,
)
from linkage.log.builder import TileBuilder
from linkage.log.bundle import CHECKPOINT, MANIFEST, body_path, check_path, manifest_differences
from linkage.log.bundle import parse_body_path as body_index
from linkage.log.canonical import JsonObject
from linkage.log.checkpoint import Checkpoint, parse_checkpoint
from linkage.log.entry import Entry, open_body
from linkage.log.note import parse_note
from linkage.log.policy import Policy, parse_policy
from linkage.log.tiles import ENTRIES, TILE_WIDTH, Tile, parse_entries, tiles_of

# Enough to see what happened; a log of nothing but bad leaves should not fill memory.
_MAX_FINDINGS_PER_CODE = 20
# What clocks that someone looks after may differ by, and be set back by.
_MAX_SKEW_S = 300


def verify_bundle(
    path: Path, trust: bytes | None, since: bytes | None, run: Run = map
) -> VerifyReport:
    """Verify the bundle at `path`, a directory or a tar file.

    Args:
        path: of the bundle.
        trust: the trust file; without it the verdict is at best `UNPINNED`.
        since: the checkpoint that was kept from an earlier verification.
        run: does the work on leaves; the report is the same whoever does.

    Raises:
        ConfigError: the trust file does not parse.
    """
    policy = parse_policy(trust) if trust is not None else None
    files = _read(path)
    return files if isinstance(files, VerifyReport) else verify_files(files, policy, since, run)


@dataclass(frozen=True)
class Contents:
    """What a verified bundle says.

    Args:
        entries: all leaves, in their order.
        leaf_hashes: their hashes.
        bodies: what confidential leaves committed to, by index, as far as it is there.
        requests: signed requests in bodies, by index, whose signatures were checked.
    """

    entries: Sequence[Entry]
    leaf_hashes: Sequence[bytes]
    bodies: Mapping[int, JsonObject]
    requests: Mapping[int, Envelope] = field(default_factory=dict)


def open_bundle(
    path: Path, trust: bytes, since: bytes | None, run: Run = map, *, requests: bool = False
) -> tuple[VerifyReport, Contents | None]:
    """Verify the bundle at `path`, and return what it says if all of it holds.

    Args:
        path: as `verify_bundle`.
        trust: likewise.
        since: likewise.
        run: likewise.
        requests: check the signatures of requests, for `replay`.

    Raises:
        ConfigError: the trust file does not parse.
    """
    policy = parse_policy(trust)
    files = _read(path)
    if isinstance(files, VerifyReport):
        return files, None
    verification = _Verification(files, policy, since, run, requests=requests)
    report = verification.report()
    return report, verification.contents() if report.verdict == verdict.OK else None


def verify_files(
    files: Mapping[str, bytes], policy: Policy | None, since: bytes | None, run: Run = map
) -> VerifyReport:
    """Verify the files of a bundle, given by path. See `verify_bundle`."""
    return _Verification(files, policy, since, run).report()


def _read(path: Path) -> dict[str, bytes] | VerifyReport:
    try:
        return read_bundle(path)
    except OSError as error:
        reason = error.strerror or "input or output failed"
        return _refused(verdict.UNREADABLE, f"the bundle cannot be read: {reason}")
    except MalformedMessageError as error:
        return _refused(verdict.MALFORMED, str(error))


def _refused(code: str, text: str) -> VerifyReport:
    return VerifyReport(code, findings=[Finding(code, text)])


class _Verification:
    """One run over one bundle; the checks in order, each adding what it finds."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        policy: Policy | None,
        since: bytes | None,
        run: Run,
        *,
        requests: bool = False,
    ) -> None:
        self._files = files
        self._policy = policy
        self._since = since
        self._run, self._with_requests = run, requests
        self._findings: list[Finding] = []
        self._per_code: Counter[str] = Counter()
        self._leaves: dict[int, Entry] = {}
        self._hashes: list[bytes] = []
        self._bodies: dict[int, JsonObject] = {}
        self._requests: dict[int, Envelope] = {}
        # By path, for bodies are told of in the order of their names.
        self._of_bodies: dict[str, Finding] = {}
        self._pin: Pin | None = None
        # In seconds since 1970: when the last witness cosigned, and the latest leaf so far.
        self._until_s: int | None = None
        self._latest_s = 0

    def report(self) -> VerifyReport:
        checkpoint = self._check_envelope()
        types: Counter[str] = Counter()
        if checkpoint is not None:
            self._check_pin(checkpoint)
            if self._check_file_set(checkpoint.size):
                bodies = self._body_files(checkpoint.size)
                self._check_tree(checkpoint, bodies)
                types.update(leaf.type for leaf in self._leaves.values())
                for _, finding in sorted(self._of_bodies.items()):
                    self._add(*finding)
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
            since=self._pin.checkpoint.size if self._pin and clean else None,
            entries=dict(sorted(types.items())),
            bodies=len(self._bodies),
            findings=self._findings,
        )

    def contents(self) -> Contents:
        """Return what the bundle says; only after a report without findings."""
        entries = list(self._leaves.values())
        return Contents(entries, self._hashes, self._bodies, self._requests)

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
            vouched = check_vouched(note, checkpoint, self._policy)
            self._until_s = vouched.last_s
            for finding in vouched.findings:
                self._add(*finding)
        return checkpoint

    def _check_pin(self, checkpoint: Checkpoint) -> None:
        if self._since is None:
            return
        pin = open_pin(self._since, self._policy, checkpoint)
        if isinstance(pin, Finding):
            self._add(*pin)
        else:
            self._pin = pin

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

    def _body_files(self, size: int) -> dict[int, bytes]:
        """Return the files of bodies by index; what is no body of this log is found."""
        bodies = {}
        for path, data in self._files.items():
            if not path.startswith("bodies/"):
                continue
            try:
                index = body_index(path)
                if index >= size:
                    open_body(data)
                    text = f"{path} is not of a log of {size} entries"
                    self._of_bodies[path] = Finding(verdict.FILE_UNEXPECTED, text)
                else:
                    bodies[index] = data
            except MalformedMessageError as error:
                self._of_bodies[path] = Finding(verdict.MALFORMED, f"{path}: {error}")
        return bodies

    def _check_tree(self, checkpoint: Checkpoint, bodies: Mapping[int, bytes]) -> None:
        """Rebuild the tree from the entries; compare pinned root, tiles and root."""
        builder = TileBuilder()
        differing: list[Tile] = []
        self._compare_pin(builder)
        entries, broken = self._entries(checkpoint.size)
        for entry, leaf in zip(entries, self._read_leaves(entries, bodies), strict=True):
            self._take(builder.size, leaf)
            differing += self._differing(builder.append(entry))
            self._compare_pin(builder)
        if broken is not None:
            self._add(*broken)
            self._check_unread(builder.size, bodies)
            return
        differing += self._differing(builder.partial_tiles())
        for tile in sorted(differing):
            self._add(verdict.TILE_MISMATCH, f"{tile.path} is not what the entries give")
        if builder.root() != checkpoint.root:
            self._add(verdict.ROOT_MISMATCH, f"the entries give the root {builder.root().hex()}")

    def _entries(self, size: int) -> tuple[list[bytes], Finding | None]:
        """Return the leaves up to the first tile that cannot be read, and what is wrong with it."""
        entries: list[bytes] = []
        for tile in tiles_of(size):
            if tile.level != ENTRIES:
                break
            try:
                entries += parse_entries(self._files[tile.path], tile.width)
            except MalformedMessageError as error:
                return entries, Finding(verdict.MALFORMED, f"{tile.path}: {error}")
        return entries, None

    def _read_leaves(
        self, entries: Sequence[bytes], bodies: Mapping[int, bytes]
    ) -> Iterator[ReadLeaf]:
        """Yield all leaves, read part by part by whoever does the work."""
        keys = signing_keys(entries) if self._with_requests else None
        parts = (
            Part(
                tuple(entries[first : first + PART_LEAVES]),
                {
                    index - first: bodies[index]
                    for index in range(first, min(first + PART_LEAVES, len(entries)))
                    if index in bodies
                },
                keys,
            )
            for first in range(0, len(entries), PART_LEAVES)
        )
        for leaves in self._run(read_part, parts):
            yield from leaves

    def _take(self, index: int, leaf: ReadLeaf) -> None:
        """Take what was read of a leaf and its body."""
        self._hashes.append(leaf.hash)
        if isinstance(leaf.entry, Problem):
            self._add(verdict.LEAF_INVALID, f"leaf {index}: {leaf.entry.text}")
        else:
            self._check_leaf(index, leaf.entry)
        if isinstance(leaf.body, Problem):
            code = verdict.BODY_MISMATCH if leaf.body.mismatch else verdict.MALFORMED
            self._of_bodies[body_path(index)] = Finding(
                code, f"{body_path(index)}: {leaf.body.text}"
            )
        elif leaf.body is not None:
            self._bodies[index] = leaf.body
            if leaf.request is not None:
                self._requests[index] = leaf.request

    def _check_unread(self, first: int, bodies: Mapping[int, bytes]) -> None:
        """Check the form of bodies whose leaves could not be read."""
        for index, data in bodies.items():
            try:
                if index >= first:
                    open_body(data)
            except MalformedMessageError as error:
                path = body_path(index)
                self._of_bodies[path] = Finding(verdict.MALFORMED, f"{path}: {error}")

    def _differing(self, built: Sequence[tuple[Tile, bytes]]) -> list[Tile]:
        """Return the hash tiles that are there with other bytes than the entries give."""
        return [
            tile for tile, data in built if tile.level != ENTRIES and self._files[tile.path] != data
        ]

    def _compare_pin(self, builder: TileBuilder) -> None:
        pinned = self._pin.checkpoint if self._pin is not None else None
        if pinned is not None and builder.size == pinned.size and builder.root() != pinned.root:
            self._add(
                verdict.INCONSISTENT_WITH_PINNED,
                f"the first {pinned.size} entries are not those of the pinned checkpoint",
            )

    def _check_leaf(self, index: int, leaf: Entry) -> None:
        if leaf.ref and leaf.ref[-1] >= index:
            self._add(verdict.LEAF_INVALID, f"leaf {index}: it refers to leaf {leaf.ref[-1]}")
        self._leaves[index] = leaf
        self._check_time(index, int(leaf.time.timestamp()))

    def _check_time(self, index: int, time_s: int) -> None:
        """Check a leaf's time against the leaves before it, and against the witnesses.

        The log's own clock proves nothing; that a witness saw the tree without this
        leaf, or with it, does. What no witness contradicts passes.
        """
        if time_s < self._latest_s - _MAX_SKEW_S:
            self._add(verdict.TIME_INVALID, f"leaf {index}: earlier than a leaf before it")
        elif self._until_s is not None and time_s > self._until_s + _MAX_SKEW_S:
            self._add(verdict.TIME_INVALID, f"leaf {index}: later than its cosignatures")
        elif self._pin is not None and self._pin.is_contradicted(index, time_s + _MAX_SKEW_S):
            text = "earlier than the cosignatures of the pinned checkpoint, which is without it"
            self._add(verdict.TIME_INVALID, f"leaf {index}: {text}")
        self._latest_s = max(self._latest_s, time_s)
