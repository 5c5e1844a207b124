"""An exchange among honest parties: one key, made by all, seen by nobody else."""

import copy
import json
import pickle
import runpy
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from exchange_world import DAY, NAMES, OPENS, SOON, World, begun, drawing, signer_of, terms_of

from keys.derive import KeyContext, LinkageKey
from keys.errors import KeysError
from keys.exchange import Exchange
from keys.messages import (
    CIPHERTEXT_BYTES,
    Posting,
    Seal,
    ShareComplaint,
    TagComplaint,
    Withdrawal,
    check_sealed,
    message_digest,
    read_message,
    sign_message,
)
from keys.transcript import Step, Transcript
from keys.words import check_of, words_of
from linkage.log.entry import Entry, format_entry

DEFINITION = runpy.run_path(str(Path(__file__).parents[2] / "vectors" / "keys" / "generate.py"))


@pytest.mark.parametrize("n", range(2, 21))
def test_all_parties_have_one_key_and_it_is_that_of_the_definition(n: int) -> None:
    world = World(terms_of(n))
    world.run()
    assert all(exchange.done for exchange in world.exchanges.values())
    secrets = {bytes(exchange.linkage_secret()) for exchange in world.exchanges.values()}
    assert len(secrets) == 1
    assert len(world.log) == 3 * n
    transcript, terms = world.transcript(), world.terms
    assert transcript.step is Step.COMPLETE
    assert transcript.blame(OPENS + 9 * DAY) == []
    # All over again, from what was drawn and the bytes in the log.
    where = (terms.agreement_digest, terms.agreement_id, terms.epoch)
    openings = {party: drawing(party)(64) for party in terms.names}
    of_kind = {kind: dict[str, bytes]() for kind in ("commit", "seal", "confirm")}
    for envelope in world.log:
        kind = envelope.payload_type.removeprefix("application/vnd.padan.epoch.")
        party = json.loads(envelope.payload)["party"]
        of_kind[kind.removesuffix("+json")][party] = envelope.payload
    named = {
        kind: [DEFINITION["name_of"](kind, payloads[party]) for party in terms.names]
        for kind, payloads in of_kind.items()
    }
    commits_hash = DEFINITION["hashed"]("padan/commits/v1", where, *named["commit"])
    assert secrets == {DEFINITION["derived"](openings, commits_hash, "linkage")}
    transcript_hash = DEFINITION["hashed"](
        "padan/transcript/v1", where, commits_hash, *named["seal"]
    )
    assert transcript.hash == transcript_hash
    key = DEFINITION["derived"](openings, commits_hash, "confirm")
    for party, payload in of_kind["confirm"].items():
        tag = DEFINITION["text_of"](DEFINITION["tag_of"](key, party, transcript_hash))
        assert json.loads(payload)["tag"] == tag


def test_operators_read_the_same_words() -> None:
    world = World(terms_of(3))
    world.run()
    words = set()
    for exchange in world.exchanges.values():
        context = KeyContext("pks/2026-01", sha256(b"schema").digest(), "paspor", 1)
        words.add(words_of(LinkageKey(exchange.linkage_secret(), context).key_check()))
    (said,) = words
    assert len(said.split()) == 8
    assert len(check_of(said)) == 8


def test_a_step_waits_for_all_of_the_one_before() -> None:
    world = World(terms_of(3))
    for party in ("ahu", "dukcapil"):
        assert world.turn(party) is not None
        assert world.turn(party) is None
    assert world.transcript().step is Step.COMMIT
    assert world.turn("imigrasi") is not None
    assert world.transcript().step is Step.SEAL
    assert world.turn("imigrasi") is not None
    assert world.turn("imigrasi") is None
    assert not any(exchange.done for exchange in world.exchanges.values())
    world.run()
    assert all(exchange.done for exchange in world.exchanges.values())


def test_a_confirm_waits_for_its_ciphertexts() -> None:
    world = World(terms_of(3))
    world.round()
    world.round()
    exchange = world.exchanges["ahu"]
    wanted = set(world.transcript().sealed_for("ahu").values())
    ours = [sealed for sealed in world.board if sha256(sealed).digest() in wanted]
    assert len(ours) == 2
    assert exchange.advance(world.transcript(), world.transcript()) is None
    assert exchange.advance(world.transcript(), world.transcript(), ours[:1]) is None
    assert (
        exchange.advance(world.transcript(), world.transcript(), [ours[0], ours[1] + b"x"]) is None
    )
    assert exchange.advance(world.transcript(), world.transcript(), ours) is not None


def spellings(secret: bytes) -> list[bytes]:
    return [secret, secret.hex().encode(), DEFINITION["text_of"](secret).encode().rstrip(b"=")]


def test_the_matcher_holds_no_share() -> None:
    world = World(terms_of(4))
    world.run()
    seen = b"\0".join(envelope.payload for envelope in world.log)
    seen += b"\0".join(envelope.to_bytes() for envelope in world.log) + b"\0".join(world.board)
    secrets = [bytes(world.exchanges["ahu"].linkage_secret())]
    for party in world.terms.names:
        draw = drawing(party)
        opening, seal_secret = draw(64), draw(96)
        secrets += [opening[:32], opening[32:], seal_secret[:32], seal_secret[64:]]
    assert len(secrets) == 17
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in seen
    # It would be found: what is public is.
    assert world.transcript().commits is not None
    commitment = world.transcript().commits[0].message.commitment
    assert any(spelling in seen for spelling in spellings(commitment))


def test_the_key_is_settled_when_the_last_commitment_is_in() -> None:
    """Sealing again and again gives other messages, and never another key."""
    hashes, secrets = set(), set()
    for _ in range(8):
        world = World(terms_of(3))
        world.run()
        hashes.add(world.transcript().hash)
        secrets.add(bytes(world.exchanges["ahu"].linkage_secret()))
    assert len(hashes) == 8
    assert len(secrets) == 1


def test_all_but_one_party_settle_nothing() -> None:
    """Each share of the last one gives another key, and any bit may fall either way."""
    secrets = []
    for seed in range(64):
        world = World(terms_of(3), absent=["ahu"])
        world.exchanges["ahu"] = begun(world.terms, "ahu", seed)
        world.run()
        secrets.append(int.from_bytes(world.exchanges["dukcapil"].linkage_secret()))
    assert len(set(secrets)) == 64
    ones = zeros = 0
    for secret in secrets:
        ones, zeros = ones | secret, zeros | ~secret
    assert ones & zeros & (2**256 - 1) == 2**256 - 1


def test_nobody_has_another_share_before_all_have_committed() -> None:
    """What there is to see before the last commit is one hash of each share."""
    world = World(terms_of(3), absent=["setneg"])
    world.turn("ahu")
    world.turn("dukcapil")
    assert world.board == []
    for envelope in world.log:
        own = json.loads(envelope.payload).keys()
        common = {"agreement", "agreement_digest", "epoch", "party", "v"}
        assert own - common == {"commitment", "seal_key"}


def crash(exchange: Exchange, world: World, party: str) -> Exchange:
    """The process ends; another begins with what was saved."""
    return Exchange.resume(bytes(exchange.state()), world.terms, signer_of(party))


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("when", ["before saving", "before posting", "after posting"])
def test_a_crash_at_any_step_does_no_harm(step: int, when: str) -> None:
    world = World(terms_of(3))
    for _ in range(step - 1):
        world.round()
    for party, exchange in list(world.exchanges.items()):
        before = exchange.state()
        posting = exchange.advance(world.transcript(), world.transcript(), world.board)
        if when == "before saving":
            world.exchanges[party] = Exchange.resume(before, world.terms, signer_of(party))
        else:
            if when == "after posting" and posting:
                world.post(posting)
            world.exchanges[party] = crash(exchange, world, party)
    world.run()
    transcript = world.transcript()
    assert transcript.step is Step.COMPLETE
    assert not transcript.broken
    assert len({message_digest(envelope) for envelope in world.log}) == 9
    secrets = {bytes(exchange.linkage_secret()) for exchange in world.exchanges.values()}
    assert len(secrets) == 1


def test_a_crash_after_the_handing_over_gives_the_same_key_again() -> None:
    world = World(terms_of(2))
    world.run()
    exchange = world.exchanges["dukcapil"]
    state = exchange.state()
    secret = exchange.linkage_secret()
    again = Exchange.resume(state, world.terms, signer_of("dukcapil"))
    assert not again.done
    assert again.advance(world.transcript(), world.transcript(), world.board) is None
    assert again.linkage_secret() == secret


def test_a_message_that_was_lost_is_posted_again_as_it_was() -> None:
    world = World(terms_of(3))
    world.round()
    exchange = world.exchanges["ahu"]
    made = exchange.advance(world.transcript(), world.transcript())
    assert made is not None
    assert len(made.ciphertexts) == 2
    assert exchange.advance(world.transcript(), world.transcript()) == made
    assert crash(exchange, world, "ahu").advance(world.transcript(), world.transcript()) == made


def test_an_old_state_is_refused() -> None:
    world = World(terms_of(3))
    old = world.exchanges["ahu"].state()
    other = begun(world.terms, "ahu", seed=2)
    world.round()
    with pytest.raises(KeysError, match="state is an old one"):
        other.advance(world.transcript(), world.transcript())
    world.round()
    resumed = Exchange.resume(old, world.terms, signer_of("ahu"))
    with pytest.raises(KeysError, match="Withdraw"):
        resumed.advance(world.transcript(), world.transcript())


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda state: state[:-1],
        lambda state: state + b"\0",
        lambda state: state[:4] + b"PADANEXCHANGE2" + state[18:],
        lambda state: state[: state.rindex(b'{"payload"') - 4],
    ],
    ids=["nothing", "cut", "longer", "another version", "no message"],
)
def test_what_is_no_state_is_refused(change: Callable[[bytes], bytes]) -> None:
    world = World(terms_of(2))
    state = bytes(world.exchanges["dukcapil"].state())
    with pytest.raises(KeysError, match="state of an exchange"):
        Exchange.resume(change(state), world.terms, signer_of("dukcapil"))


def test_a_state_belongs_to_its_terms() -> None:
    world = World(terms_of(2))
    state = world.exchanges["dukcapil"].state()
    for other in (terms_of(2, epoch=2), terms_of(3), terms_of(2, agreement="pks/2026-02")):
        with pytest.raises(KeysError, match="other terms"):
            Exchange.resume(state, other, signer_of("dukcapil"))


def test_a_party_has_a_place_and_a_signer_of_its_own() -> None:
    with pytest.raises(KeysError, match="no party"):
        Exchange.begin(terms_of(2), "ahu", signer_of("ahu"))
    with pytest.raises(KeysError, match="not the key"):
        Exchange.begin(terms_of(2), "dukcapil", signer_of("imigrasi"))
    exchange, own, other = (
        begun(terms_of(2), "dukcapil"),
        *(Transcript(terms_of(2, epoch=epoch), OPENS, DAY) for epoch in (1, 2)),
    )
    for seen, settled in ((own, other), (other, own)):
        with pytest.raises(KeysError, match="another exchange"):
            exchange.advance(seen, settled)


def test_secrets_are_not_shown_copied_or_kept() -> None:
    world = World(terms_of(2))
    world.run()
    exchange = world.exchanges["dukcapil"]
    draw = drawing("dukcapil")
    opening, seal_secret = draw(64), draw(96)
    before = exchange.state()
    assert opening in before
    assert seal_secret in before
    assert repr(exchange) == "Exchange('dukcapil', ...)"
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            refused(exchange)
    exchange.linkage_secret()
    after = exchange.state()
    assert opening[:32] not in after
    assert seal_secret[:32] not in after
    assert drawing("imigrasi")(32) in before
    assert drawing("imigrasi")(32) not in after
    with pytest.raises(KeysError, match="once"):
        exchange.linkage_secret()
    # Asked again, it neither goes on nor accuses anybody.
    assert exchange.advance(world.transcript(), world.transcript(), world.board) is None


def test_there_is_no_key_before_all_have_confirmed() -> None:
    world = World(terms_of(2))
    for _ in range(3):
        world.round()
        with pytest.raises(KeysError, match="no key yet"):
            world.exchanges["dukcapil"].linkage_secret()


def test_every_message_of_twenty_parties_fits_a_leaf() -> None:
    world = World(terms_of(20))
    world.run()
    longest = 0
    complaints = [
        ShareComplaint("ahu", "imigrasi", bytes(CIPHERTEXT_BYTES), bytes(96)),
        TagComplaint("ahu", "imigrasi", (bytes(64),) * 20),
    ]
    signed = [sign_message(world.terms, one, signer_of("ahu")) for one in complaints]
    for envelope in world.log + signed:
        entry = Entry(
            "epoch.seal", OPENS, NAMES[0], "pks/2026-01", body={"env": envelope.to_json()}
        )
        longest = max(longest, len(format_entry(entry)))
    assert longest < 4096
    assert len(world.board) == 20 * 19
    assert {len(sealed) for sealed in world.board} == {CIPHERTEXT_BYTES}


def test_a_board_takes_a_seal_only_with_its_ciphertexts() -> None:
    world = World(terms_of(3))
    world.round()
    posting = world.turn("ahu")
    assert isinstance(posting, Posting)
    seal = read_message(world.terms, posting.envelope)
    assert isinstance(seal, Seal)
    check_sealed(seal, posting.ciphertexts)
    with pytest.raises(KeysError, match="no share for imigrasi"):
        check_sealed(seal, posting.ciphertexts[:1])


def test_what_comes_after_its_time_is_refused() -> None:
    world = World(terms_of(2))
    world.run()
    for n, envelope in enumerate(world.log):
        closes = OPENS + (n // 2 + 1) * DAY
        transcript = Transcript(world.terms, OPENS, DAY)
        transcript.add(envelope, closes - timedelta(seconds=1))
        with pytest.raises(KeysError, match="time is over"):
            transcript.add(envelope, closes)


def test_the_order_of_arrival_does_not_matter() -> None:
    world = World(terms_of(3))
    world.run()
    for log in (world.log[::-1], world.log[4:] + world.log[:4] + world.log):
        transcript = Transcript(world.terms, OPENS, DAY)
        for envelope in log:
            transcript.add(envelope, SOON)
        assert transcript.step is Step.COMPLETE
        assert transcript.hash == world.transcript().hash


def test_what_is_broken_is_wiped_even_if_it_was_complete() -> None:
    world = World(terms_of(2))
    world.run()
    exchange = world.exchanges["dukcapil"]
    assert exchange.done
    share = drawing("imigrasi")(32)
    assert share in exchange.state()
    world.log.append(sign_message(world.terms, Withdrawal("imigrasi"), signer_of("imigrasi")))
    assert exchange.advance(world.transcript(), world.transcript(), world.board) is None
    assert not exchange.done
    assert share not in exchange.state()
    with pytest.raises(KeysError, match="no more"):
        exchange.linkage_secret()


class FailingSigner:
    """A device that is there, and not always."""

    def __init__(self, party: str) -> None:
        self._signer, self.fails = signer_of(party), False
        self.key_id = self._signer.key_id

    def sign(self, message: bytes) -> bytes:
        self.fails = not self.fails
        if self.fails:
            raise ConnectionError("the device does not answer")
        return self._signer.sign(message)


def test_a_signer_that_fails_is_asked_again_and_nothing_is_the_worse_for_it() -> None:
    world = World(terms_of(3), absent=["ahu"])
    signer = FailingSigner("ahu")
    with pytest.raises(ConnectionError):
        Exchange.begin(world.terms, "ahu", signer)
    exchange = Exchange.begin(world.terms, "ahu", signer)
    for step in range(3):
        if step:
            with pytest.raises(ConnectionError):
                exchange.advance(world.transcript(), world.transcript(), world.board)
        posting = exchange.advance(world.transcript(), world.transcript(), world.board)
        assert posting is not None
        world.post(posting)
        world.round()
    world.exchanges["ahu"] = exchange
    world.run()
    assert all(one.done for one in world.exchanges.values())


_SHOW = "import {}, json, sys; print(json.dumps([m for m in sys.modules if m[:5] == 'keys.']))"


@pytest.mark.parametrize("module", ["keys.transcript", "keys.delegated", "keys.rotation"])
def test_the_public_side_loads_nothing_of_the_secret_side(module: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW.format(module)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = set(json.loads(shown.stdout))
    assert module in loaded
    assert not loaded & {"keys.exchange", "keys.delegation", "keys.derive", "keys.keystore"}


def as_far_as(world: World, n: int) -> Transcript:
    """What all parties have cosigned, if that are the first n messages."""
    transcript = Transcript(world.terms, OPENS, DAY)
    for envelope in world.log[:n]:
        transcript.add(envelope, SOON)
    return transcript


def test_the_next_step_is_built_only_on_what_all_have_cosigned() -> None:
    world = World(terms_of(3))
    exchange = world.exchanges["ahu"]
    for n in (3, 6, 9):
        world.round()
        seen = world.transcript()
        for cosigned in range(n):
            assert exchange.advance(seen, as_far_as(world, cosigned), world.board) is None
        assert not exchange.done
    assert exchange.advance(seen, seen, world.board) is None
    assert exchange.done


def test_what_breaks_an_exchange_is_heard_before_all_have_cosigned_it() -> None:
    world = World(terms_of(3))
    for _ in range(3):
        world.round()
    settled = as_far_as(world, 9)
    world.log.append(sign_message(world.terms, Withdrawal("imigrasi"), signer_of("imigrasi")))
    exchange = world.exchanges["ahu"]
    assert exchange.advance(world.transcript(), settled, world.board) is None
    assert not exchange.done
    # Its secrets are gone too.
    assert exchange.advance(settled, settled, world.board) is None
    assert not exchange.done
