"""The last checkpoint that this agent saw: the log may only ever grow out of it."""

from collections.abc import Callable
from pathlib import Path

from linkage.errors import InputError, SplitViewError, VerificationError
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.policy import Policy
from linkage.log.proof import verify_consistency


class SeenCheckpoint:
    """A checkpoint on disk that only moves forward, by proof.

    Args:
        path: where the signed note is kept.
        trust: the trust file.
    """

    def __init__(self, path: Path, trust: Policy) -> None:
        self._path = path
        self._keys = [line.key for line in trust.logs]

    def advance(self, note: bytes, consistency: Callable[[int, int], list[bytes]]) -> None:
        """Move on to a checkpoint that grew out of the one seen last.

        Args:
            note: the new checkpoint, signed.
            consistency: asks the matcher for the proof between two sizes.

        Raises:
            SplitViewError: the log has two histories. Both notes are evidence: they
                stay on disk, the new one with the suffix `.contradiction`.
            SignatureError: the note is not signed by the log.
        """
        new = verify_checkpoint(note, self._keys)
        if self._path.exists():
            old = verify_checkpoint(self._path.read_bytes(), self._keys)
            try:
                self._check(old, new, consistency)
            except (VerificationError, InputError) as error:
                self._path.with_suffix(".contradiction").write_bytes(note)
                raise SplitViewError(
                    f"the log of size {new.size} did not grow out of the one of size {old.size} "
                    f"seen before: keep {self._path} and its .contradiction as evidence, and "
                    "tell the auditors"
                ) from error
            if old.size >= new.size:
                return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".part")
        temporary.write_bytes(note)
        temporary.replace(self._path)

    @staticmethod
    def _check(
        old: Checkpoint, new: Checkpoint, consistency: Callable[[int, int], list[bytes]]
    ) -> None:
        first, last = sorted((old, new), key=lambda checkpoint: checkpoint.size)
        if first.size == last.size:
            proof: list[bytes] = []
        else:
            proof = consistency(first.size, last.size)
        verify_consistency(first.size, last.size, proof, first.root, last.root)
