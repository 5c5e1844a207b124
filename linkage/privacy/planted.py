"""Faulty encodings, which the gate must refuse by name: a test of the gate itself.

Each has a fault that was published, or that a careless implementation would have. Nothing
that leaves an agency is made here: `padan attack --plant` runs the gate on one of them.
"""

import hmac
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkage.encode.bloom import PositionTable, set_bits
from linkage.encode.diffusion import diffuse, index_sets
from linkage.encode.encoder import Encoder, EncodingKeys
from linkage.encode.saul import KeyedMajority
from linkage.encode.tokenids import token_text
from linkage.encode.weights import base_positions
from linkage.normalise.columns import WordColumn
from linkage.privacy.attacks import Sent
from linkage.privacy.outcome import Outcome
from linkage.privacy.people import SeededKeys, with_scheme
from linkage.privacy.subject import Coder, Program, coder
from linkage.schema import Encoding, LinkageSchema
from linkage.types import Kind

Harden = Callable[[NDArray[np.uint64]], NDArray[np.uint64]]

_LOW_FILL, _DIFFUSED_BITS = 0.2, 4096
# Short, so that some hundred records have a rank to lose.
_SHORT_BITS = 512


@dataclass(frozen=True)
class Hardened:
    """The filters of an encoder under a hardening of one's own.

    Attributes:
        encoder: makes the filters.
        harden: makes codes of these, shape (n, n_words).
    """

    encoder: Encoder
    harden: Harden

    def filters(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint64]:
        """Return the filters, as `Encoder.filters`."""
        return self.encoder.filters(columns)

    def codes(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint8]:
        """Return the codes, as `Encoder.codes`."""
        return self.harden(self.filters(columns)).astype("<u8", copy=False).view(np.uint8)


def unkeyed(schema: LinkageSchema, _keys: EncodingKeys) -> Coder:
    """Return an encoder whose key is the same for everybody."""
    return coder(schema, SeededKeys(0))


def uncentred(schema: LinkageSchema, keys: EncodingKeys) -> Coder:
    """Return SAUL that takes no mean filter away: common tokens dominate the sums."""
    encoding = schema.encoding
    nothing = np.zeros(encoding.filter_length, dtype=np.int64)
    majority = KeyedMajority(keys.hardening_key(), nothing, encoding.code_bits, encoding.code_order)

    def harden(filters: NDArray[np.uint64]) -> NDArray[np.uint64]:
        counts = np.bitwise_count(filters).sum(axis=1, dtype=np.int64)
        offsets = np.concatenate(([0], np.cumsum(counts)))
        return majority.encode(set_bits(filters, offsets), offsets)

    return Hardened(Encoder(schema, keys, bytes), harden)


def thinly_filled(schema: LinkageSchema, keys: EncodingKeys) -> Coder:
    """Return diffusion of filters of which a fifth is set."""
    encoding = schema.encoding
    # Under saul, unlike diffusion, weights set the fill.
    light = Encoding(bits=1024, order=1, filter_bits=encoding.filter_length)
    under = schema.model_copy(update={"encoding": light})
    bases = base_positions(under)
    usual = sum(bases[a.name] * a.of_type.mean_tokens for a in schema.fuzzy)
    scale = math.sqrt(-math.log(1 - _LOW_FILL) * encoding.filter_length / usual)
    thin = LinkageSchema(
        name=schema.name,
        encoding=light,
        language=schema.language,
        attributes=tuple(
            a.model_copy(update={"weight": scale * a.token_weight}) for a in schema.fuzzy
        ),
    )
    sets = index_sets(keys.hardening_key(), encoding.code_bits, encoding.code_order)
    return Hardened(Encoder(thin, keys, bytes), lambda filters: _diffused(filters, sets))


def longer_than_filter(schema: LinkageSchema, keys: EncodingKeys) -> Coder:
    """Return diffusion to codes twice as long as their filters."""
    encoding = schema.encoding
    halves = [
        index_sets(keys.hardening_key() + half, encoding.code_bits, encoding.code_order)
        for half in (b"0", b"1")
    ]
    return Hardened(
        Encoder(schema, keys, bytes),
        lambda filters: np.concatenate([_diffused(filters, sets) for sets in halves], axis=1),
    )


def _diffused(filters: NDArray[np.uint64], sets: NDArray[np.uint16]) -> NDArray[np.uint64]:
    codes = np.empty_like(filters)
    diffuse(filters, sets, codes)
    return codes


class _Progressions(PositionTable):
    """Positions h1 + i h2."""

    def draw(self, ids: NDArray[np.int32]) -> None:
        """Draw the positions of these tokens."""
        steps = np.arange(self.positions.shape[1], dtype=np.uint64)
        for number in np.unique(ids).tolist():
            seed = hmac.digest(self._key, token_text(number, self._kind).encode(), "sha256")
            first, step = np.frombuffer(seed[:16], dtype="<u8") % np.uint64(self._n_bits)
            self.positions[number] = (first + steps * step) % np.uint64(self._n_bits)


class DoubleHashed(Encoder):
    """The encoder with double hashing in place of independent positions."""

    def _hardening(self, keys: EncodingKeys) -> Harden:
        kinds: dict[str, Kind] = {a.of_type.space: a.of_type.kind for a in self._schema.fuzzy}
        for space, table in self._tables.items():
            n_positions = table.positions.shape[1]
            self._tables[space] = _Progressions(
                keys.space_key(space), kinds[space], n_positions, self._n_bits
            )
        return super()._hardening(keys)


def double_hashed(schema: LinkageSchema, keys: EncodingKeys) -> Coder:
    """Return the encoder with double hashing."""
    return DoubleHashed(schema, keys, bytes)


@dataclass(frozen=True)
class Plant:
    """A fault, and which attack must find it.

    Attributes:
        name: what it is called.
        attack: the attack that must exceed its limit, and the beginning of its setting.
        schema: makes the faulty schema of the one in question.
        program: the faulty encoder.
        send: makes faulty what is sent beside codes.
    """

    name: str
    attack: str
    schema: Callable[[LinkageSchema], LinkageSchema] = lambda schema: schema
    program: Program = coder
    send: Callable[[Sent], Sent] = lambda sent: sent

    def caught(self, outcomes: Iterable[Outcome]) -> bool:
        """Return whether the attack that must find it did."""
        return any(
            outcome.exceeded and f"{outcome.attack}, {outcome.setting}".startswith(self.attack)
            for outcome in outcomes
        )


def _of_one_attribute(sent: Sent) -> Sent:
    """Return block tokens that are keyed hashes of single attributes."""
    return replace(sent, tokens=_keyed(sent.values))


def _keyed(values: Mapping[str, NDArray[np.uint64]]) -> dict[str, NDArray[np.uint64]]:
    key = SeededKeys(1).block_key("planted")
    tokens = {}
    for name, column in values.items():
        distinct, which = np.unique(column, return_inverse=True)
        digests = [hmac.digest(key, value.tobytes(), "sha256")[:8] for value in distinct]
        of_value = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
        of_value[distinct == 0] = 0
        tokens[name] = of_value[which][:, None]
    return tokens


def _diffusion(bits: int) -> Callable[[LinkageSchema], LinkageSchema]:
    return lambda schema: with_scheme(schema, "diffused", bits)


PLANTED: Mapping[str, Plant] = {
    plant.name: plant
    for plant in (
        Plant("unkeyed", "A8 dictionary", program=unkeyed),
        Plant("low-fill", "A4 rectangles of names", _diffusion(_DIFFUSED_BITS), thinly_filled),
        Plant(
            "long-diffusion",
            "A5 lint, linear relations",
            _diffusion(_SHORT_BITS),
            longer_than_filter,
        ),
        Plant("double-hashing", "A9 double hashing", program=double_hashed),
        Plant(
            "two-majorities",
            "A3 matched kernel",
            lambda schema: with_scheme(schema, "saul", schema.encoding.code_bits, 2),
        ),
        Plant("uncentred", "A5 lint, codes lean together", program=uncentred),
        Plant("one-attribute-tokens", "A6 frequencies", send=_of_one_attribute),
        Plant(
            "reused-key", "A10 field filters", send=lambda sent: replace(sent, fields=sent.one_key)
        ),
    )
}
