"""The states of a key, which may follow which, and what each allows.

A key protects (encodes, seals, signs) only while it is active. A deactivated one still
processes what was protected under it, where its kind has anything to process. A
suspended or compromised key does nothing until its case is decided: the standard would
allow some processing at one's own risk, which nobody here needs.

Source: NIST SP 800-57 Part 1 Rev. 5, section 7 (key states and transitions 1 to 15).
"""

from dataclasses import asdict, dataclass
from enum import Enum, StrEnum

from keys.errors import KeystoreError


class KeyState(StrEnum):
    """Where a key is in its life."""

    PRE_ACTIVE = "pre-active"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"
    COMPROMISED = "compromised"
    DESTROYED = "destroyed"


class KeyUse(Enum):
    """What a key is opened for."""

    PROTECT = "protect"
    """To encode, seal or sign something new."""
    PROCESS = "process"
    """To open or read what was protected under it before."""
    INSPECT = "inspect"
    """To show its public half, or to see that its file opens."""


_NEXT = {
    KeyState.PRE_ACTIVE: {KeyState.ACTIVE, KeyState.COMPROMISED, KeyState.DESTROYED},
    KeyState.ACTIVE: {
        KeyState.SUSPENDED,
        KeyState.DEACTIVATED,
        KeyState.COMPROMISED,
        KeyState.DESTROYED,
    },
    KeyState.SUSPENDED: {
        KeyState.ACTIVE,
        KeyState.DEACTIVATED,
        KeyState.COMPROMISED,
        KeyState.DESTROYED,
    },
    KeyState.DEACTIVATED: {KeyState.COMPROMISED, KeyState.DESTROYED},
    KeyState.COMPROMISED: {KeyState.DESTROYED},
    KeyState.DESTROYED: set[KeyState](),
}

PROCESSING_KINDS = frozenset({"data", "linkage", "pair", "seal"})
"""Kinds of keys that have something to process after they protect no more. Of the others,
which sign, the public half does all that is left to do."""

_REMEDY = {
    KeyState.PRE_ACTIVE: "make it active first, with `padan keys state`",
    KeyState.SUSPENDED: "it is held until its case is decided: make it active again, or replace it",
    KeyState.DEACTIVATED: "it protects nothing new: make its successor, and use that",
    KeyState.COMPROMISED: "it is used for nothing any more: make another, and destroy this one",
    KeyState.DESTROYED: "nothing of it is left: make another",
}


@dataclass(frozen=True)
class Transition:
    """A key's change of state, as the log records it. Holds nothing of the key.

    Attributes:
        key_id: the key.
        kind: what the key is.
        agreement_id: the agreement it belongs to, or "".
        epoch: its epoch, or 0.
        before: the state that it left.
        after: the state that it is in now.
        revision: counts the changes of its keystore file. A file of a lower revision than
            the log has is an old copy.
        time: RFC 3339.
    """

    key_id: str
    kind: str
    agreement_id: str
    epoch: int
    before: KeyState
    after: KeyState
    revision: int
    time: str

    def to_json(self) -> dict[str, str | int]:
        """Return the members of the JSON object, for the body of a `key.state` leaf."""
        return {**asdict(self), "before": self.before.value, "after": self.after.value}


def verify_transition(before: KeyState, after: KeyState) -> None:
    """Check that a key may go from one state to another.

    Raises:
        KeystoreError: it may not.
    """
    if after not in _NEXT[before]:
        possible = ", ".join(state for state in KeyState if state in _NEXT[before]) or "nothing"
        raise KeystoreError(
            f"from {before} a key does not become {after}; it can become: {possible}"
        )


def verify_usable(state: KeyState, kind: str, use: KeyUse) -> None:
    """Check that a key in a state may be used.

    Raises:
        KeystoreError: it may not be.
    """
    if state is KeyState.ACTIVE or use is KeyUse.INSPECT:
        return
    if state is KeyState.DEACTIVATED and use is KeyUse.PROCESS and kind in PROCESSING_KINDS:
        return
    raise KeystoreError(f"this {kind} key is {state}: {_REMEDY[state]}")
