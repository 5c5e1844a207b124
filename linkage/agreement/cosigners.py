"""By which of its keys a party has cosigned a checkpoint.

A party enrols an Ed25519 key, and an ML-DSA-44 key beside it. Once it has enrolled a type, it has
cosigned only when a key of that type has, also after the last one was revoked: who breaks one of
the two schemes signs nothing with the keys that are enrolled. Others come by a document, which has
one Ed25519 signature (ADR 17). A party that enrolled an Ed25519 key alone goes on with
it.
"""

from datetime import datetime

from linkage.agreement.principals import Key, Kind, Principal
from linkage.log.note import Note, is_signed_by
from linkage.log.vkey import VerifierKey, parse_vkey

_KINDS: tuple[Kind, ...] = ("witness", "witness-ml-dsa-44")


def cosigning_keys(principal: Principal | None, time: datetime | None = None) -> list[VerifierKey]:
    """Return the keys that a party cosigns with.

    Args:
        principal: the party; None for one that is not enrolled.
        time: at which they count; if absent those too that another has replaced.
    """
    return [key for kind in _KINDS for key in _keys_of(principal, kind, time)]


def has_cosigned(note: Note, principal: Principal | None, time: datetime | None = None) -> bool:
    """Return whether a party has cosigned, with a key of each type that it has.

    Args:
        note: the checkpoint.
        principal: the party; None for one that is not enrolled.
        time: as in `cosigning_keys`.
    """
    enrolled = {key.kind for key in principal.keys.values()} if principal else set()
    needed = [kind for kind in _KINDS if kind in enrolled]
    return bool(needed) and all(
        is_signed_by(note, _keys_of(principal, kind, time)) for kind in needed
    )


def has_lost(principal: Principal | None) -> bool:
    """Return whether a party cannot cosign: the log has that its last key of a type was revoked.

    Those that it replaced go out of use, and do not stand for it.
    """
    return any(keys[-1].revoked is not None for keys in _by_kind(principal).values())


def _by_kind(principal: Principal | None) -> dict[Kind, list[Key]]:
    """Return the keys of each type that a party has enrolled, the newest last."""
    found: dict[Kind, list[Key]] = {}
    for key in principal.keys.values() if principal else ():
        if key.kind in _KINDS:
            found.setdefault(key.kind, []).append(key)
    return found


def _keys_of(principal: Principal | None, kind: Kind, time: datetime | None) -> list[VerifierKey]:
    return [
        parse_vkey(key.public.decode())
        for key in (principal.keys.values() if principal else ())
        if key.kind == kind and (key.revoked is None if time is None else key.counts(time))
    ]
