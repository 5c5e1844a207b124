"""The kinds of values that an agreement is made of.

A person signs what is shown on a screen, so no text may hold what is not shown: control
characters, and those that turn or hide what stands beside them, are refused.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from linkage.errors import MalformedMessageError, SignatureError
from linkage.job import AGREEMENT_ID, PARTY_NAME
from linkage.log.canonical import decode_base64
from linkage.log.vkey import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44, parse_vkey

SIGN_KEY_BYTES = 32
# ML-KEM-768 encapsulation key, then X25519 public key.
SEAL_KEY_BYTES = 1_184 + 32
MAX_LINE_CHARS = 200
MAX_PROSE_CHARS = 2_000
ALL_OFFICES = "*"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PRINCIPAL = re.compile(
    r"spiffe://([a-z0-9.-]{1,64})/"
    r"(?:(party|coordinator|auditor|matcher)/([a-z0-9][a-z0-9-]{0,31})"
    r"|(office)/([a-z0-9][a-z0-9-]{0,31})/([a-z0-9][a-z0-9-]{0,31}))"
)
_ORIGIN = re.compile(r"[!-~]{1,200}")
_COUNTRY = re.compile(r"[A-Z]{3}")


class Strict(BaseModel):
    """Fields as they are declared, no others, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _line(text: str) -> str:
    if not 0 < len(text) <= MAX_LINE_CHARS or text != text.strip() or not _visible(text):
        raise ValueError(
            f"a line is 1 to {MAX_LINE_CHARS} visible characters without spaces around it"
        )
    return text


def _prose(text: str) -> str:
    shown = text.replace("\n", " ")
    if not 0 < len(text) <= MAX_PROSE_CHARS or text != text.strip() or not _visible(shown):
        raise ValueError(
            f"a text is 1 to {MAX_PROSE_CHARS} visible characters without spaces around it"
        )
    return text


def _visible(text: str) -> bool:
    return unicodedata.is_normalized("NFC", text) and not any(
        unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"} for char in text
    )


def _digest(text: str) -> str:
    if _DIGEST.fullmatch(text) is None:
        raise ValueError("a digest is 64 hexadecimal digits in lower case (SHA-256)")
    return text


def _party_id(text: str) -> str:
    if PARTY_NAME.fullmatch(text) is None:
        raise ValueError("a party's id is 1 to 32 small letters, digits and dashes")
    return text


def _office_name(text: str) -> str:
    if text != ALL_OFFICES and PARTY_NAME.fullmatch(text) is None:
        raise ValueError(
            f"an office's name is 1 to 32 small letters, digits and dashes; {ALL_OFFICES} is for "
            "all of the party's"
        )
    return text


def _agreement_id(text: str) -> str:
    if AGREEMENT_ID.fullmatch(text) is None:
        raise ValueError("an id is 1 to 64 letters, digits, full stops, slashes and dashes")
    return text


def _sign_key(text: str) -> str:
    return _key(text, SIGN_KEY_BYTES, "a signing key is the base64 of 32 bytes (Ed25519)")


def _seal_key(text: str) -> str:
    what = f"a seal key is the base64 of {SEAL_KEY_BYTES} bytes (ML-KEM-768, then X25519)"
    return _key(text, SEAL_KEY_BYTES, what)


def _key(text: str, n_bytes: int, what: str) -> str:
    try:
        data = decode_base64(text)
    except MalformedMessageError as error:
        raise ValueError(what) from error
    if len(data) != n_bytes:
        raise ValueError(what)
    return text


def _witness_key(text: str) -> str:
    what = "a witness key is the base64 of 32 bytes (Ed25519) that padan keys new witness printed"
    return _vkey(text, COSIGNATURE_ED25519, what)


def _witness_ml_dsa_key(text: str) -> str:
    what = (
        "an ML-DSA-44 witness key is the base64 of 1312 bytes that padan keys new "
        "witness-ml-dsa-44 printed"
    )
    return _vkey(text, COSIGNATURE_ML_DSA_44, what)


def _vkey(text: str, algorithm: int, what: str) -> str:
    try:
        known = parse_vkey(text).algorithm == algorithm
    except SignatureError:
        known = False
    if not known:
        raise ValueError(what)
    return text


def _principal(text: str) -> str:
    if _PRINCIPAL.fullmatch(text) is None:
        raise ValueError(
            "a principal is spiffe://DOMAIN/ROLE/NAME with role party, coordinator, auditor or "
            "matcher, or spiffe://DOMAIN/office/PARTY/NAME"
        )
    return text


def _origin(text: str) -> str:
    if _ORIGIN.fullmatch(text) is None:
        raise ValueError("an origin is the name of the match log, as in the trust file")
    return text


def _country(text: str) -> str:
    if _COUNTRY.fullmatch(text) is None:
        raise ValueError("a country is three capital letters (ISO 3166-1 alpha-3)")
    return text


Line = Annotated[str, AfterValidator(_line)]
Prose = Annotated[str, AfterValidator(_prose)]
Digest = Annotated[str, AfterValidator(_digest)]
PartyId = Annotated[str, AfterValidator(_party_id)]
OfficeName = Annotated[str, AfterValidator(_office_name)]
AgreementId = Annotated[str, AfterValidator(_agreement_id)]
SignKey = Annotated[str, AfterValidator(_sign_key)]
SealKey = Annotated[str, AfterValidator(_seal_key)]
WitnessKey = Annotated[str, AfterValidator(_witness_key)]
WitnessMlDsaKey = Annotated[str, AfterValidator(_witness_ml_dsa_key)]
PrincipalUri = Annotated[str, AfterValidator(_principal)]
Origin = Annotated[str, AfterValidator(_origin)]
Country = Annotated[str, AfterValidator(_country)]


def role_in(principal: str) -> tuple[str, str]:
    """Return role and party of a principal's URI; the party is its name unless an office."""
    found = _PRINCIPAL.fullmatch(principal)
    if found is None:
        return "", ""
    return (found[2], found[3]) if found[2] else (found[4], found[5])


def office_in(principal: str) -> str:
    """Return the name of an office in its URI, without its party's; "" for others."""
    found = _PRINCIPAL.fullmatch(principal)
    return found[6] or "" if found else ""


def path_of(principal: str) -> str:
    """Return what stands behind the trust domain, `party/x` or `office/x/y`; that is left as is."""
    scheme, _, rest = principal.partition("://")
    return rest.partition("/")[2] if scheme == "spiffe" else principal
