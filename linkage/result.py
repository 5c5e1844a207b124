"""What a job tells one recipient: plain data, one part for each party whose records were met.

The level of a part says what is in it, and nothing else may be:

    R0   how many own records were linked, by grade, rounded down; nobody in particular
    R1   the own records that were linked, each once, with a grade
    R2   the same, and how the attributes of linked pairs compare, without values
    R3   a link id for each own record that was linked, with a grade
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linkage.errors import MalformedMessageError
from linkage.job import REFERENCE_BYTES

LINK_ID_BYTES = 16
SALT_BYTES = 32
# Grades of links, one byte each.
UNDETERMINED, MATCH = 1, 2
COUNTS = ("records", "match", "undetermined")
"""What the counts of R0 are of."""

_LENGTH_BYTES = 8
_FIELDS = {
    "R0": {"counts"},
    "R1": {"references", "grades"},
    "R2": {"references", "grades", "comparisons"},
    "R3": {"references", "grades", "link_ids"},
}


@dataclass(frozen=True)
class Part:
    """What one party is told of the records of one other.

    Attributes:
        counterpart: the other party.
        level: the result level, `R0` to `R3`.
        references: own records that were linked, 16 bytes each, in ascending order.
        grades: as many grades, one byte each: `MATCH` or `UNDETERMINED`.
        link_ids: as many link ids, 16 bytes each.
        comparisons: the key of their checks, and rows as `NameForm.compared` has them, in
            ascending order.
        counts: see `COUNTS`.
    """

    counterpart: str
    level: str
    references: bytes = b""
    grades: bytes = b""
    link_ids: bytes = b""
    comparisons: bytes = b""
    counts: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of own records that it names."""
        return len(self.grades)

    def check(self) -> None:
        """Check that it holds what its level holds, and nothing in which more could hide.

        Raises:
            MalformedMessageError: it does not.
        """
        given = {
            name
            for name in ("references", "grades", "link_ids", "comparisons", "counts")
            if getattr(self, name)
        }
        if not given <= _FIELDS.get(self.level, set()):
            raise MalformedMessageError(f"result: more than level {self.level} tells")
        n, rest = divmod(len(self.references), REFERENCE_BYTES)
        if rest or len(self.grades) != n:
            raise MalformedMessageError("result: not as many grades as references")
        if self.level == "R3" and len(self.link_ids) != LINK_ID_BYTES * n:
            raise MalformedMessageError("result: not as many link ids as references")
        if not set(self.grades) <= {UNDETERMINED, MATCH}:
            raise MalformedMessageError("result: a grade that there is not")
        if self.level == "R0" and len(self.counts) != len(COUNTS):
            raise MalformedMessageError("result: counts that are none")
        # A second row of one record would tell of a second counterpart, and an order of one's
        # choice could tell anything.
        named = np.frombuffer(self.references, dtype=f"V{REFERENCE_BYTES}")
        if np.unique(named).tobytes() != self.references:
            raise MalformedMessageError("result: records twice, or in an order of their own")

    def to_bytes(self) -> bytes:
        """Return all of it, for the disk and the digest: each field after its length."""
        counts = b"".join(count.to_bytes(_LENGTH_BYTES, "big") for count in self.counts)
        names = self.counterpart.encode(), self.level.encode()
        fields = *names, self.references, self.grades, self.link_ids, self.comparisons, counts
        return b"".join(_with_length(field) for field in fields)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Part":
        """Return the part that `to_bytes` wrote."""
        fields, at = list[bytes](), 0
        while at < len(content):
            length = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
            fields.append(content[at + _LENGTH_BYTES : at + _LENGTH_BYTES + length])
            at += _LENGTH_BYTES + length
        counterpart, level, references, grades, link_ids, comparisons, counts = fields
        numbers = tuple(
            int.from_bytes(counts[i : i + _LENGTH_BYTES], "big")
            for i in range(0, len(counts), _LENGTH_BYTES)
        )
        names = counterpart.decode(), level.decode()
        return cls(*names, references, grades, link_ids, comparisons, numbers)


def result_digest(salt: bytes, parts: Sequence[Part]) -> bytes:
    """Return the digest of all that one recipient gets, 32 bytes: what the log commits to.

    Salted, for all parties of a job read it in the log, and a few counts are soon guessed.

    Args:
        salt: 32 random bytes that only the recipient gets.
        parts: counted in the order of their counterparts' names.
    """
    digest = hashlib.sha256(_with_length(salt))
    for part in sorted(parts, key=lambda part: part.counterpart):
        digest.update(_with_length(part.to_bytes()))
    return digest.digest()


def _with_length(field: bytes) -> bytes:
    return len(field).to_bytes(_LENGTH_BYTES, "big") + field
