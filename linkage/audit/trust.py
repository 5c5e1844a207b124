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
from linkage.log.vkey import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    VerifierKey,
    parse_vkey,
)

QUORUM = "parties"
"""The group that has to cosign."""
_TYPES = {COSIGNATURE_ED25519: "ed25519", COSIGNATURE_ML_DSA_44: "ml-dsa-44"}


def witnesses_in(enrolment: bytes) -> tuple[VerifierKey, ...]:
    """Return the keys that a party cosigns with, out of its enrolment.

    Raises:
        MalformedMessageError: no enrolment, or one without a key to cosign with.
        SignatureError: not signed by the signing key in it, or a witness of another name.
    """
    try:
        envelope = parse_envelope(enrolment)
    except KeysError as error:
        raise MalformedMessageError(str(error)) from error
    wanted = parse_payload(Enrolment, envelope)
    vkeys = [key for key in (wanted.witness_key, wanted.witness_ml_dsa_key) if key is not None]
    if not vkeys or wanted.sign_key is None:
        raise MalformedMessageError(f"{wanted.principal} has no key to cosign with")
    sign_key = decode_base64(wanted.sign_key)
    if not envelope.signers({key_id_of(sign_key): sign_key}):
        raise SignatureError(f"{wanted.principal} has not signed its own enrolment")
    keys = tuple(map(parse_vkey, vkeys))
    for key in keys:
        if key.name != path_of(wanted.principal):
            raise SignatureError(f"{wanted.principal} cosigns under another name: {key.name}")
    return keys


def with_witnesses(
    policy: Policy, keys: Sequence[VerifierKey], threshold: int | None = None
) -> Policy:
    """Return a trust file that asks for witnesses, beside those it has.

    Args:
        policy: one without quorum, or that this function has made.
        keys: of the witnesses that are added; who has two cosigns with both.
        threshold: how many of all have to cosign; if absent the least that keeps two readers
            from seeing two histories.

    Raises:
        ConfigError: the file has a quorum of its own, or the threshold is out of range.
    """
    top = {group.name: group.members for group in policy.groups}
    members = top.get(QUORUM, tuple(line.name for line in policy.witnesses))
    if policy.quorum not in (NO_QUORUM, QUORUM) or top.keys() - {QUORUM, *members}:
        raise ConfigError("trust file", ["has groups of its own: add witnesses by hand"])
    witnesses, groups = list(policy.witnesses), [g for g in policy.groups if g.name != QUORUM]
    by_name: dict[str, list[VerifierKey]] = {}
    for key in keys:
        by_name.setdefault(key.name, []).append(key)
    for name, own in by_name.items():
        if len(own) == 1:
            witnesses.append(WitnessLine(name, own[0]))
            continue
        lines = [WitnessLine(f"{name}/{_TYPES[key.algorithm]}", key) for key in own]
        witnesses += lines
        groups.append(GroupLine(name, len(lines), tuple(line.name for line in lines)))
    members = (*members, *by_name)
    wanted = least_threshold(len(members)) if threshold is None else threshold
    if not 1 <= wanted <= len(members):
        raise ConfigError("trust file", [f"{wanted} of {len(members)} witnesses cannot cosign"])
    groups.append(GroupLine(QUORUM, wanted, members))
    return replace(policy, witnesses=tuple(witnesses), groups=tuple(groups), quorum=QUORUM)
