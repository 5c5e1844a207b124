"""The life of a key: which state may follow which, and what each allows."""

import json
from itertools import product

import pytest

from keys.errors import KeystoreError
from keys.states import (
    PROCESSING_KINDS,
    KeyState,
    KeyUse,
    Transition,
    verify_transition,
    verify_usable,
)

P, A, S, D, C, X = KeyState

# SP 800-57 Part 1 Rev. 5, section 7: the numbers are those of its transitions.
ALLOWED = {
    (P, X): 2, (P, C): 3, (P, A): 4,
    (A, X): 5, (A, C): 6, (A, S): 7, (A, D): 8,
    (S, X): 9, (S, C): 10, (S, A): 11, (S, D): 12,
    (D, C): 13, (D, X): 14,
    (C, X): 15,
}  # fmt: skip
SIGNING_KINDS = ("sign", "witness", "log-signing")


@pytest.mark.parametrize(("before", "after"), list(product(KeyState, KeyState)))
def test_a_state_follows_as_the_standard_says_and_no_other_way(
    before: KeyState, after: KeyState
) -> None:
    if (before, after) in ALLOWED:
        verify_transition(before, after)
    else:
        with pytest.raises(KeystoreError, match=f"from {before} a key does not become {after};"):
            verify_transition(before, after)


def test_nothing_leads_out_of_destruction_and_the_text_says_so() -> None:
    with pytest.raises(KeystoreError, match="it can become: nothing"):
        verify_transition(X, A)


def test_the_text_lists_what_is_possible() -> None:
    with pytest.raises(KeystoreError, match=r"it can become: compromised, destroyed$"):
        verify_transition(D, A)


@pytest.mark.parametrize("kind", [*SIGNING_KINDS, *sorted(PROCESSING_KINDS)])
@pytest.mark.parametrize("state", list(KeyState))
@pytest.mark.parametrize("use", list(KeyUse))
def test_what_a_state_allows(kind: str, state: KeyState, use: KeyUse) -> None:
    allowed = (
        state is A
        or use is KeyUse.INSPECT
        or (state is D and use is KeyUse.PROCESS and kind in PROCESSING_KINDS)
    )
    if allowed:
        verify_usable(state, kind, use)
    else:
        with pytest.raises(KeystoreError, match=f"this {kind} key is {state}: "):
            verify_usable(state, kind, use)


def test_signing_kinds_have_nothing_left_to_process() -> None:
    assert not PROCESSING_KINDS & set(SIGNING_KINDS)


def test_a_transition_is_json_for_the_log() -> None:
    one = Transition("4f1c", "sign", "", 0, A, C, 2, "2026-01-02T03:04:05+00:00")
    assert json.loads(json.dumps(one.to_json())) == {
        "key_id": "4f1c",
        "kind": "sign",
        "agreement_id": "",
        "epoch": 0,
        "before": "active",
        "after": "compromised",
        "revision": 2,
        "time": "2026-01-02T03:04:05+00:00",
    }
