"""Every error that Padan raises on purpose.

    LinkageError                    text without attributes, filter bits or keys
    ├── ConfigError                 settings or schema refused at load; lists every problem
    ├── InputError                  what was handed in cannot be used
    │   ├── MalformedMessageError   bytes or fields that do not parse
    │   ├── SchemaMismatchError     two sides do not follow the same linkage schema
    │   ├── KeyMismatchError        two sides do not hold the same linkage key
    │   └── RecordError             a source or one of its records
    ├── PolicyError                 understood, and refused
    │   ├── DeniedError             with a code and the rules that denied it
    │   ├── QuotaExceededError
    │   ├── JobStateError           the job is not in a state that allows this
    │   └── NotFoundError           unknown, or not yours: the two read the same
    ├── UnavailableError            a peer or a file is not there now; trying again may help
    └── VerificationError           do not trust this: stop and report
        ├── ProofError
        ├── CheckpointError
        ├── SignatureError
        └── SplitViewError

A text says what is wrong and what to do about it. `ValueError` is left for a
caller's bug.
"""

from collections.abc import Sequence


class LinkageError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(LinkageError):
    """Settings or a schema refused at load.

    Args:
        what: the thing that was refused, for example a path.
        problems: every problem found in it, one sentence each.
    """

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        self.what = what
        self.problems = tuple(problems)
        super().__init__("\n  ".join((f"{what}:", *self.problems)))


class InputError(LinkageError):
    """What was handed in cannot be used."""


class MalformedMessageError(InputError):
    """Bytes or fields that do not parse, whatever is wrong with them."""


class SchemaMismatchError(InputError):
    """Two sides do not follow the same linkage schema."""


class KeyMismatchError(InputError):
    """Two sides do not hold the same linkage key."""


class RecordError(InputError):
    """A source, or a record in it, cannot be used."""


class PolicyError(LinkageError):
    """A request that was understood and is refused."""


class DeniedError(PolicyError):
    """Refused by rule.

    Args:
        code: the reason, in UPPER_SNAKE_CASE.
        text: what was refused and what would be allowed.
        rules: identifiers of the rules that denied it.
    """

    def __init__(self, code: str, text: str, rules: Sequence[str] = ()) -> None:
        self.code = code
        self.rules = tuple(rules)
        super().__init__(f"{code}: {text}")


class QuotaExceededError(PolicyError):
    """More than the agreed number or size.

    Attributes:
        code: which limit it was, where a job fails for it.
    """

    def __init__(self, text: str, code: str = "QUOTA_EXCEEDED") -> None:
        super().__init__(text)
        self.code = code


class JobStateError(PolicyError):
    """The job is not in a state that allows this."""


class NotFoundError(PolicyError):
    """Unknown to the matcher, or not the caller's: the two read the same."""


class UnavailableError(LinkageError):
    """A peer or a resource cannot be reached now; trying again may help."""


class VerificationError(LinkageError):
    """Evidence that does not hold: do not trust it, stop and report."""


class ProofError(VerificationError):
    """An inclusion or consistency proof fails."""


class CheckpointError(VerificationError):
    """A checkpoint is malformed, or contradicts the log it stands for."""


class SignatureError(VerificationError):
    """A signature is missing, unknown or wrong."""


class SplitViewError(VerificationError):
    """The log showed two histories: evidence of misbehaviour by its operator."""
