"""Write the vectors of the key exchange, next to this file.

    python tests/vectors/keys/generate.py

By the definitions in docs/key-exchange.md, RFC 5869 and RFC 9180; no line is shared with
`keys` and nothing of it is imported. Tests also use what is defined here as a judge. The
files `rfc-*`, `kat-*` and `wycheproof-*` are others' vectors; each names its source.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = Path(__file__).parent
Case = dict[str, Any]


def prefixed(*parts: bytes) -> bytes:
    """Parts with their lengths before them."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def hashed(label: str, where: tuple[bytes, str, int], *parts: bytes) -> bytes:
    """The hash of a label, of digest and id of an agreement, of an epoch, and of parts."""
    digest, agreement, epoch = where
    head = (label.encode(), digest, agreement.encode(), epoch.to_bytes(4, "big"))
    return hashlib.sha256(prefixed(*head, *parts)).digest()


def extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract, RFC 5869 section 2.2."""
    return hmac.digest(salt or bytes(32), material, "sha256")


def expand(key: bytes, info: bytes, n_bytes: int) -> bytes:
    """HKDF-Expand, RFC 5869 section 2.3."""
    whole = block = b""
    for count in range(1, 256):
        if len(whole) >= n_bytes:
            break
        block = hmac.digest(key, block + info + bytes([count]), "sha256")
        whole += block
    return whole[:n_bytes]


def derived(openings: Mapping[str, bytes], commits_hash: bytes, use: str) -> bytes:
    """The linkage secret, or the key of the tags."""
    shares = b"".join(openings[party][:32] for party in sorted(openings))
    info = prefixed(b"padan/exchange/v1", use.encode())
    return expand(extract(commits_hash, shares), info, 32)


def tag_of(key: bytes, party: str, transcript_hash: bytes) -> bytes:
    """The tag of a party."""
    text = prefixed(b"padan/confirm/v1", party.encode(), transcript_hash)
    return hmac.digest(key, text, "sha256")


def payload_of(where: tuple[bytes, str, int], party: str, own: Mapping[str, Any]) -> bytes:
    """The payload of a message."""
    digest, agreement, epoch = where
    common = {
        "agreement": agreement,
        "agreement_digest": text_of(digest),
        "epoch": epoch,
        "party": party,
        "v": 1,
    }
    return json.dumps(common | own, sort_keys=True, separators=(",", ":")).encode()


def name_of(kind: str, payload: bytes) -> bytes:
    """The digest by which a message is named: of what DSSE signs."""
    payload_type = f"application/vnd.padan.epoch.{kind}+json"
    head = f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} "
    return hashlib.sha256(head.encode() + payload).digest()


def text_of(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def x25519_shared(enc: bytes, secret: bytes) -> bytes:
    """Decap of DHKEM(X25519, HKDF-SHA256), RFC 9180 section 4.1."""
    key = X25519PrivateKey.from_private_bytes(secret)
    dh = key.exchange(X25519PublicKey.from_public_bytes(enc))
    context = enc + key.public_key().public_bytes_raw()
    suite = b"KEM\x00\x20"
    made = labeled_extract(suite, b"", b"eae_prk", dh)
    return labeled_expand(suite, made, b"shared_secret", context, 32)


def hybrid_shared(enc: bytes, secret: bytes) -> bytes:
    """Decap of ML-KEM-768 with X25519: the combiner of draft-ietf-hpke-pq."""
    mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:64]).decapsulate(enc[:1088])
    key = X25519PrivateKey.from_private_bytes(secret[64:])
    dh = key.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
    public = key.public_key().public_bytes_raw()
    return hashlib.sha3_256(mlkem + dh + enc[1088:] + public + rb"\.//^" + b"\\").digest()


def open_hpke(
    suite: tuple[int, int, int], shared: bytes, info: bytes, aad: bytes, sealed: bytes
) -> bytes:
    """The first message of a base-mode context with AES-GCM, RFC 9180 sections 5.1 and 5.2."""
    named = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in suite)
    key_bytes = {1: 16, 2: 32}[suite[2]]
    context = b"\x00" + labeled_extract(named, b"", b"psk_id_hash", b"")
    context += labeled_extract(named, b"", b"info_hash", info)
    secret = labeled_extract(named, shared, b"secret", b"")
    key = labeled_expand(named, secret, b"key", context, key_bytes)
    nonce = labeled_expand(named, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, sealed, aad)


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """RFC 9180 section 4."""
    return extract(salt, b"HPKE-v1" + suite + label + material)


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, n_bytes: int) -> bytes:
    """RFC 9180 section 4."""
    return expand(key, n_bytes.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, n_bytes)


def exchange_case(number: int, agreement: str, epoch: int, parties: list[str]) -> Case:
    """An exchange in which each secret is the hash of its name, and each ciphertext too."""
    where = (hashlib.sha256(agreement.encode()).digest(), agreement, epoch)
    openings, commits, seals, confirms = {}, {}, {}, {}
    for party in sorted(parties):
        openings[party] = hashlib.sha512(f"{agreement} {epoch} {party}".encode()).digest()
        secret = hashlib.shake_256(f"seal {party}".encode()).digest(96)
        public = MLKEM768PrivateKey.from_seed_bytes(secret[:64]).public_key().public_bytes_raw()
        public += X25519PrivateKey.from_private_bytes(secret[64:]).public_key().public_bytes_raw()
        commitment = hashed("padan/commit/v1", where, party.encode(), openings[party])
        own = {"commitment": text_of(commitment), "seal_key": text_of(public)}
        commits[party] = payload_of(where, party, own)
    named = [name_of("commit", commits[party]) for party in sorted(parties)]
    commits_hash = hashed("padan/commits/v1", where, *named)
    for party in sorted(parties):
        sealed = {
            other: text_of(hashlib.sha256(f"{party} for {other}".encode()).digest())
            for other in parties
            if other != party
        }
        own = {"commits": [text_of(one) for one in named], "sealed": sealed}
        seals[party] = payload_of(where, party, own)
    names = [name_of("seal", seals[party]) for party in sorted(parties)]
    transcript_hash = hashed("padan/transcript/v1", where, commits_hash, *names)
    key = derived(openings, commits_hash, "confirm")
    for party in sorted(parties):
        tag = tag_of(key, party, transcript_hash)
        own = {"seals": [text_of(one) for one in names], "tag": text_of(tag)}
        confirms[party] = payload_of(where, party, own)
    payloads = {"commit": commits, "seal": seals, "confirm": confirms}
    return {
        "desc": f"an exchange of {len(parties)} parties, by the definition",
        "source": "generate.py, next to this file",
        "agreement": agreement,
        "agreement_digest": where[0].hex(),
        "epoch": epoch,
        "number": number,
        "openings": {party: opening.hex() for party, opening in openings.items()},
        # The payloads of many parties are long, and say nothing that two do not.
        "payloads": {
            kind: {party: payload.decode() for party, payload in of_kind.items()}
            for kind, of_kind in payloads.items()
            if len(parties) == 2
        },
        "names": {
            kind: {party: name_of(kind, payload).hex() for party, payload in of_kind.items()}
            for kind, of_kind in payloads.items()
        },
        "expect": {
            "commits_hash": commits_hash.hex(),
            "transcript_hash": transcript_hash.hex(),
            "linkage_secret": derived(openings, commits_hash, "linkage").hex(),
            "tags": {party: tag_of(key, party, transcript_hash).hex() for party in sorted(parties)},
        },
    }


def cases() -> Iterator[Case]:
    """All vectors that are ours."""
    yield exchange_case(1, "pks/2026-01", 1, ["dukcapil", "imigrasi"])
    yield exchange_case(2, "pks/2026-01", 2, ["dukcapil", "imigrasi", "ahu"])
    yield exchange_case(3, "pks/2026-02", 2**32 - 1, [f"mitra-{n}" for n in range(20)])


def main() -> None:
    """Write one file for each vector."""
    for case in cases():
        text = json.dumps(case, indent=1, sort_keys=True) + "\n"
        (HERE / f"exchange-{case['number']:02}.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
