"""Why an entry of the log changes nothing."""

from dataclasses import dataclass


class Refused(Exception):  # noqa: N818 - never leaves `State.after`, which reports it as a value
    """A signed document that does not count, and the code that says why."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True)
class Rejected:
    """An entry that changed nothing.

    Attributes:
        index: its leaf index.
        type: its leaf type.
        code: why, see `docs/agreements.md`.
    """

    index: int
    type: str
    code: str
