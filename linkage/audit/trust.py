"""Trust files with witnesses: the log's keys, and whose cosignatures make a checkpoint count.

The matcher's operator names the keys of the log. Who writes a trust file adds the witnesses, out of
enrolments that came from the parties themselves: each is signed by the signing key in it, so that
a key to cosign with is nobody's but its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from keys.dsse import key_id_of, parse_envelope
from keys.errors import KeysError
from linkage.agreement.payload import Enrolment, parse_payload
from linkage.agreement.values import path_of
from linkage.errors import ConfigError, MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64
from linkage.log.policy import NO_QUORUM, GroupLine, Policy, WitnessLine
from linkage.log.policy_lint import least_threshold
from linkage.log.vkey import VerifierKey, parse_vkey

QUORUM = "parties"
"""The group that has to cosign."""


def witness_in(enrolment: bytes) -> VerifierKey:
    """Return the key that a party cosigns with, out of its enrolment.

    Raises:
        MalformedMessageError: no enrolment, or one without a key to cosign with.
        SignatureError: not signed by the signing key in it, or a witness of another name.
    """
    try:
        envelope = parse_envelope(enrolment)
    except KeysError as error:
        raise MalformedMessageError(str(error)) from error
    wanted = parse_payload(Enrolment, envelope)
    if wanted.witness_key is None or wanted.sign_key is None:
        raise MalformedMessageError(f"{wanted.principal} has no key to cosign with")
    sign_key = decode_base64(wanted.sign_key)
    if not envelope.signers({key_id_of(sign_key): sign_key}):
        raise SignatureError(f"{wanted.principal} has not signed its own enrolment")
    key = parse_vkey(wanted.witness_key)
    if key.name != path_of(wanted.principal):
        raise SignatureError(f"{wanted.principal} cosigns under another name: {key.name}")
    return key


def with_witnesses(
    policy: Policy, keys: Sequence[VerifierKey], threshold: int | None = None
) -> Policy:
    """Return a trust file that asks for witnesses, beside those it has.

    Args:
        policy: one without quorum, or that this function has made.
        keys: of the witnesses that are added.
        threshold: how many of all have to cosign; if absent the least that keeps two readers
            from seeing two histories.

    Raises:
        ConfigError: the file has a quorum of its own, or the threshold is out of range.
    """
    if policy.quorum not in (NO_QUORUM, QUORUM) or {g.name for g in policy.groups} - {QUORUM}:
        raise ConfigError("trust file", ["has groups of its own: add witnesses by hand"])
    added = tuple(WitnessLine(key.name, key) for key in keys)
    witnesses = (*policy.witnesses, *added)
    wanted = least_threshold(len(witnesses)) if threshold is None else threshold
    if not 1 <= wanted <= len(witnesses):
        raise ConfigError("trust file", [f"{wanted} of {len(witnesses)} witnesses cannot cosign"])
    group = GroupLine(QUORUM, wanted, tuple(line.name for line in witnesses))
    return replace(policy, witnesses=witnesses, groups=(group,), quorum=QUORUM)
