"""The links that a notice is about: sealed for the parties of the agreement.

Sealed under a key that is derived from the linkage key, of sender and receiver, so neither the
matcher nor an auditor reads which links are meant. All seals are equally long, whether they name
many links or none: nobody sees from a notice whether a record was linked at all.
"""

from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.derive import LinkageKey
from linkage.agreement.rights import RightsNotice
from linkage.errors import VerificationError
from linkage.log.canonical import decode_base64, encode_base64
from linkage.result import LINK_ID_BYTES

MOST_LINKS = 255
"""Links in one notice; more go into further ones."""

_NONCE_BYTES = 12
_PLAIN_BYTES = 1 + MOST_LINKS * LINK_ID_BYTES


def seal_links(
    key: LinkageKey,
    about: tuple[str, str, str],
    links: Sequence[bytes],
    draw: Callable[[int], bytes],
) -> str:
    """Return link ids as a notice carries them.

    Args:
        key: of the agreement and epoch.
        about: id of the notice, its sender, and who is told.
        links: at most `MOST_LINKS` link ids.
        draw: a random source.
    """
    if len(links) > MOST_LINKS or any(len(link) != LINK_ID_BYTES for link in links):
        raise ValueError(f"a notice names at most {MOST_LINKS} links")
    named = bytes([len(links)]) + b"".join(links)
    plain = named.ljust(_PLAIN_BYTES, b"\0")
    nonce = draw(_NONCE_BYTES)
    sealed = AESGCM(key.notice_key(*about[1:])).encrypt(nonce, plain, "/".join(about).encode())
    return encode_base64(nonce + sealed)


def open_links(key: LinkageKey, said: RightsNotice) -> list[bytes]:
    """Return the link ids that a notice is about.

    Raises:
        VerificationError: it was sealed under another key, or for another notice, or is not as
            long as all seals are.
    """
    sealed, about = decode_base64(said.sealed), (said.id, said.party, said.to)
    try:
        plain = AESGCM(key.notice_key(said.party, said.to)).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], "/".join(about).encode()
        )
    except (InvalidTag, ValueError) as error:
        raise VerificationError(
            f"notice {said.id} of {said.party} was sealed under another key: ask them"
        ) from error
    # Sealed under the right key says nothing of what its sender put in.
    if len(plain) != _PLAIN_BYTES:
        raise VerificationError(f"notice {said.id} of {said.party} is no list of links: ask them")
    ends = range(1, 1 + plain[0] * LINK_ID_BYTES, LINK_ID_BYTES)
    return [plain[start : start + LINK_ID_BYTES] for start in ends]
