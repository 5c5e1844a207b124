"""A screen of hardened codes loses and lets through what it states, on codes as they are."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.schemes import encode, encoder_of, parse_scheme, schema_of
from benchmarks.speed import EXPERIMENT, speed_records
from linkage.agent.config import SourceConfig
from linkage.compare.bits import as_words
from linkage.compare.screen import screen_of

RECORDS = 700
LOSS = 0.01


@pytest.mark.parametrize("scheme", ["diffused", "saul:4096/4"])
def test_unlike_pairs_pass_as_often_as_stated(scheme: str) -> None:
    encoder = encoder_of(
        schema_of(EXPERIMENT, parse_scheme(scheme)), SourceConfig(path=Path("dukcapil"))
    )
    words = as_words(np.asarray(encode(encoder, speed_records(RECORDS))))
    n_bits = 64 * words.shape[1]
    screen = screen_of(n_bits, 0.56, LOSS)
    assert screen is not None
    left, right = np.triu_indices(RECORDS, 1)
    differing = np.bitwise_count(words[left] ^ words[right])
    whole = differing.sum(axis=1, dtype=np.int64)
    leading = differing[:, : screen.words].sum(axis=1, dtype=np.int64)
    assert float((leading <= screen.differing).mean()) == pytest.approx(screen.strangers, abs=0.01)
    # Given the whole, the leading bits are a draw without replacement: its spread, its tail.
    looked = 64 * screen.words
    share = whole / n_bits
    variance = looked * share * (1 - share) * (n_bits - looked) / (n_bits - 1)
    deviation = (leading - looked * share) / np.sqrt(variance)
    assert float(deviation.std()) == pytest.approx(1, abs=0.02)
    assert float((deviation > 2.326).mean()) == pytest.approx(0.01, abs=0.003)
