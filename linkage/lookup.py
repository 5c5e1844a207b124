"""A lookup as both sides see it: its caller signs the question, the matcher the answer.

What is signed is the SHA-256 of the question with 16 random bytes in it. They go to the matcher,
which checks and forgets them: a kept request says who asked when, and nobody can tell from it,
by trying, of whom.
"""

from dataclasses import asdict, dataclass
from enum import Enum

from linkage.errors import MalformedMessageError
from linkage.job import EXACT_TOKEN_BYTES, CodeId
from linkage.log.canonical import encode_base64, format_json

# The one method that a lookup is signed for, in a stream too.
LOOKUP_METHOD = "/linkage.v1.LookupService/Lookup"
ANSWER_TYPE = "application/vnd.padan.answer+json"
SALT_BYTES = 16


class Grade(Enum):
    """What a lookup brought."""

    NO_MATCH = "no match"
    UNDETERMINED = "undetermined"
    MATCH = "match"


@dataclass(frozen=True)
class LookupQuestion:
    """One code to be looked up.

    Attributes:
        agreement_id: under which agreement.
        register: whose register.
        codes: under what it was encoded.
        code: the packed code.
        exact: its exact tokens, in a row.
        salt: 16 random bytes, drawn for this question.
        exhaustive: whether every code is to be read whole.
    """

    agreement_id: str
    register: str
    codes: CodeId
    code: bytes
    exact: bytes
    salt: bytes
    exhaustive: bool = False

    def to_bytes(self) -> bytes:
        """Return the canonical JSON of it: what is signed, by its digest."""
        codes = asdict(self.codes) | {
            "schema_id": self.codes.schema_id.hex(),
            "key_check": self.codes.key_check.hex(),
        }
        return format_json(
            {
                "agreement": self.agreement_id,
                "register": self.register,
                "codes": codes,
                "code": encode_base64(self.code),
                "exact": encode_base64(self.exact),
                "salt": encode_base64(self.salt),
                "exhaustive": self.exhaustive,
            }
        )

    def check(self, codes: CodeId) -> None:
        """Check that the question fits a register.

        Args:
            codes: under what the register was encoded.

        Raises:
            SchemaMismatchError: encoded under another schema.
            KeyMismatchError: encoded under another key.
            MalformedMessageError: code, tokens or salt have another length.
        """
        self.codes.check_same(codes, "the register")
        lengths = codes.code_bits // 8, codes.exact_slots * EXACT_TOKEN_BYTES, SALT_BYTES
        if (len(self.code), len(self.exact), len(self.salt)) != lengths:
            raise MalformedMessageError("code, exact tokens or salt have another length")


@dataclass(frozen=True)
class Answer:
    """What a question is answered.

    Attributes:
        grade: whether somebody is alike.
        grant: name of the grant under which it was asked.
        sequence: one more with every answer under the grant.
        revision: of the register.
        overlooked: probability that a record whose code alone is just a match was
            overlooked; less of one that is more alike.
        method: version of matcher and method.
    """

    grade: Grade
    grant: str
    sequence: int
    revision: int
    overlooked: float
    method: str

    def to_bytes(self, log: str, request: bytes) -> bytes:
        """Return what the matcher signs, as a payload of `ANSWER_TYPE`.

        Args:
            log: origin of the match log.
            request: SHA-256 of the signed request that is answered.
        """
        fields = asdict(self) | {"grade": self.grade.value, "level": "R1"}
        return format_json(fields | {"v": 1, "log": log, "request": request.hex()})
