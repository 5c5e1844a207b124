"""The bar of `clk`: at least the peer, and better or as good as plain text where that is low."""

import pytest

from benchmarks.experiment import Experiment
from benchmarks.outcome import SchemeResult, SetResult, short_of_bar
from benchmarks.peers import PeerResult
from benchmarks.plain_text import PlainTextResult
from benchmarks.schemes import Similarity
from linkage.classify.quality import Quality


def of_f1(f1: float) -> Quality:
    return Quality(10_000, 10_000, round(10_000 * f1))


def result(clk: float, peer: float, plain: float) -> SetResult:
    experiment = Experiment.model_validate(
        {"set": {"name": "x"}, "truth": "t", "columns": (), "blocking": ()}
    )
    return SetResult(
        experiment=experiment,
        records=1,
        pairs_true=1,
        similarity=Similarity(1, 1),
        schemes={"clk": SchemeResult(of_f1(clk), 0.7, 1, [clk])},
        peer=PeerResult(of_f1(peer), 0.7, 1, False, 0.5, {}),
        peer_by_key=[peer],
        plain=PlainTextResult(of_f1(0), of_f1(plain), 1, 1),
    )


@pytest.mark.parametrize(
    ("clk", "peer", "plain", "short"),
    [
        (0.97, 0.97, 0.99, 0.0),
        (0.9698, 0.9701, 0.99, 0.0),  # alike to three digits
        (0.96, 0.97, 0.99, 0.01),
        (0.92, 0.9, 0.99, 0.0),
        (0.91, 0.9, 0.99, 0.01),
        (0.91, 0.9, 0.91, 0.0),  # as good as plain text
        (0.89, 0.9, 0.8, 0.01),  # plain text below the peer is no excuse
    ],
)
def test_how_much_is_missing(clk: float, peer: float, plain: float, short: float) -> None:
    assert short_of_bar(result(clk, peer, plain)) == pytest.approx(short)


def test_there_is_no_bar_without_the_peer() -> None:
    alone = result(0.9, 0.9, 0.9)
    alone.peer = None
    assert short_of_bar(alone) is None
