"""Up to all but one party lie, and the board loses, delays, repeats and replays messages.

Whatever they do: nobody honest is ever blamed, all honest parties that get a key get the same,
and once everything was delivered, either all of them have it or somebody who lied is named.
"""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from keys.blame import Blame, Fault
from keys.dsse import Ed25519Signer, Envelope
from keys.errors import KeysError
from keys.exchange import Exchange
from keys.messages import (
    Confirm,
    Message,
    Posting,
    Seal,
    ShareComplaint,
    TagComplaint,
    Withdrawal,
    check_sealed,
    read_message,
    sign_message,
)
from keys.sealing import seal
from keys.terms import Terms
from keys.transcript import Step, Transcript

OPENS = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
END = OPENS + 9 * DAY
NAMES = ("ahu", "dukcapil", "imigrasi", "kemenlu")
PROVEN = frozenset(Fault) - {Fault.ABSENT, Fault.STRAY}
LIES = (
    "wrong share", "replayed share", "stray", "wrong tag", "complain of a share",
    "complain with another key", "complain of a tag", "withdraw", "say nothing",
)  # fmt: skip
FITTING = {
    Step.COMMIT: ("withdraw", "say nothing"),
    Step.SEAL: ("wrong share", "replayed share", "stray", "say nothing"),
    Step.CONFIRM: ("wrong tag", "stray", "complain of a share", "complain with another key"),
    Step.COMPLETE: ("complain of a tag", "withdraw"),
}
picks = st.integers(0, 2**16)


def signer_of(party: str) -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(sha256(party.encode()).digest()))


SIGNERS = {party: signer_of(party) for party in NAMES}


def terms_of(n: int, epoch: int) -> Terms:
    parties = {party: SIGNERS[party].public for party in NAMES[:n]}
    return Terms("pks/2026-01", sha256(b"agreement").digest(), epoch, parties)


def begun(terms: Terms, party: str, seed: int) -> Exchange:
    draw = random.Random(f"{party} {seed} {terms.epoch}").randbytes
    return Exchange.begin(terms, party, SIGNERS[party], draw)


def old_log() -> list[Envelope]:
    """A whole exchange of the epoch before, for replays."""
    terms = terms_of(3, epoch=1)
    exchanges = {party: begun(terms, party, 1) for party in terms.names}
    transcript, board, log = Transcript(terms, OPENS, DAY), list[bytes](), list[Envelope]()
    for _ in range(3):
        for exchange in exchanges.values():
            posting = exchange.advance(transcript, transcript, board)
            assert posting is not None
            board.extend(posting.ciphertexts)
            log.append(posting.envelope)
            transcript.add(posting.envelope, OPENS)
    return log


OLD = old_log()


class Misbehaviour(RuleBasedStateMachine):
    """The log is one; what a party has read of it is any part of it, in any order."""

    @initialize(
        n=st.integers(2, 4),
        honest=st.integers(1, 15),
        rounds=st.integers(0, 3),
        n_parts=st.sampled_from([1, 1, 2]),
        n_lies=st.integers(0, 3),
    )
    def begin(self, n: int, honest: int, rounds: int, n_parts: int, n_lies: int) -> None:
        self.terms = terms_of(n, epoch=2)
        # At least one is honest: who, the bits say.
        named = [party for at, party in enumerate(self.terms.names) if honest >> at & 1]
        self.honest = named or [self.terms.names[0]]
        self.liars = [party for party in self.terms.names if party not in self.honest]
        self.log: list[Envelope] = []
        self.board: list[bytes] = []
        self.judge = Transcript(self.terms, OPENS, DAY)
        self.read = {party: Transcript(self.terms, OPENS, DAY) for party in self.honest}
        self.exchanges = {party: begun(self.terms, party, 1) for party in self.honest}
        self.saved = {party: one.state() for party, one in self.exchanges.items()}
        # A liar plays as many parts as it likes: each an honest party with its own secrets.
        self.parts = {
            (party, seed): begun(self.terms, party, seed)
            for party in self.liars
            for seed in range(1, n_parts + 1)
        }
        self.n_lies = n_lies
        self.secrets: dict[str, bytes] = {}
        # All may be well for a while, or no lie would ever come late.
        for _ in range(rounds):
            self.round()

    def put(self, posting: Posting) -> None:
        """The board takes what is in due form, and a seal only with what it seals."""
        try:
            message = read_message(self.terms, posting.envelope)
            if isinstance(message, Seal):
                check_sealed(message, posting.ciphertexts)
        except KeysError:
            return
        self.board.extend(posting.ciphertexts)
        self.log.append(posting.envelope)
        self.judge.add(posting.envelope, OPENS)

    def turn(self, party: str, keeps: bool = True) -> Posting | None:
        exchange = self.exchanges[party]
        posting = exchange.advance(self.read[party], self.read[party], self.board)
        if keeps:
            self.saved[party] = exchange.state()
        if exchange.done and party not in self.secrets:
            self.secrets[party] = bytes(exchange.linkage_secret())
        return posting

    @rule(who=picks, what=st.lists(picks, max_size=6))
    def deliver(self, who: int, what: list[int]) -> None:
        """A party reads some entries of the log, in some order, some of them again."""
        party = self.honest[who % len(self.honest)]
        for at in what:
            if self.log:
                self.read[party].add(self.log[at % len(self.log)], OPENS)

    @rule(who=picks)
    def deliver_all(self, who: int) -> None:
        party = self.honest[who % len(self.honest)]
        for envelope in self.log:
            self.read[party].add(envelope, OPENS)

    @rule(who=picks, lost=st.booleans())
    def honest_turn(self, who: int, lost: bool) -> None:
        """A party goes on; what it posts may be lost on the way."""
        posting = self.turn(self.honest[who % len(self.honest)])
        if posting and not lost:
            self.put(posting)

    @rule(who=picks, unsaved=st.booleans())
    def crash(self, who: int, unsaved: bool) -> None:
        """A party ends, perhaps before it could save what it did, and begins again."""
        party = self.honest[who % len(self.honest)]
        if unsaved:
            self.turn(party, keeps=False)
        self.exchanges[party] = Exchange.resume(self.saved[party], self.terms, SIGNERS[party])

    @rule(at=picks)
    def replay(self, at: int) -> None:
        """What was said in another epoch is said again."""
        self.put(Posting(OLD[at % len(OLD)]))

    def part(self, who: int) -> tuple[str, Exchange, Transcript]:
        """One part of a liar, and what it has read: nothing of its other part."""
        (party, seed) = sorted(self.parts)[who % len(self.parts)]
        exchange = self.parts[party, seed]
        made = {posting.envelope for posting in exchange._made}
        transcript = Transcript(self.terms, OPENS, DAY)
        for envelope in self.log:
            if envelope in made or read_message(self.terms, envelope).party != party:
                transcript.add(envelope, OPENS)
        return party, exchange, transcript

    @rule()
    def round(self) -> None:
        """All go on by one message, the liars as if they were honest."""
        for at in range(len(self.honest)):
            self.deliver_all(at)
            self.honest_turn(at, lost=False)
        for at in range(len(self.parts)):
            self.liar_plays_along(at)

    @precondition(lambda self: self.parts)
    @rule(who=picks)
    def liar_plays_along(self, who: int) -> None:
        _, exchange, transcript = self.part(who)
        if posting := exchange.advance(transcript, transcript, self.board):
            self.put(posting)

    @precondition(lambda self: self.parts and self.n_lies)
    @rule(who=picks, at=picks, lie=st.sampled_from(LIES))
    def lie(self, who: int, at: int, lie: str) -> None:
        self.n_lies -= 1
        party, exchange, transcript = self.part(who)
        others = [name for name in self.terms.names if name != party]
        about = others[at % len(others)]
        match lie:
            case "withdraw":
                self.say(Withdrawal(party))
            case "say nothing":
                self.parts = {key: one for key, one in self.parts.items() if key[0] != party}
            case "complain of a share" | "complain with another key":
                wanted = transcript.sealed_for(party).get(about)
                shown = [one for one in self.board if sha256(one).digest() == wanted]
                key = exchange._seal_key.secret() if lie.endswith("share") else bytes(96)
                self.say(ShareComplaint(party, about, [*shown, bytes(1200)][0], bytes(key)))
            case "complain of a tag":
                # With all openings, if it has them; or else with any.
                opened = [bytes(exchange._openings[64 * n : 64 * n + 64]) for n in range(9)]
                openings = opened[: len(others) + 1]
                openings = openings if all(openings) else [bytes(64)] * len(openings)
                self.say(TagComplaint(party, about, tuple(openings)))
            case _:
                if posting := exchange.advance(transcript, transcript, self.board):
                    # It stands by its lie; to say the other thing too, it has its other part.
                    exchange._made[-1] = self.changed(posting, transcript, about, lie)

    def changed(self, posting: Posting, transcript: Transcript, about: str, lie: str) -> Posting:
        """Put up what a liar would, if it were honest, with one thing changed."""
        ciphertexts = posting.ciphertexts
        try:
            message = read_message(self.terms, posting.envelope)
        except KeysError:
            return posting  # its part complains of its own wrong tag, which nobody takes
        match message, lie:
            case Seal(), "wrong share" | "replayed share":
                commits = {one.message.party: one.message for one in transcript.commits or ()}
                wrong = seal(commits[about].seal_key, bytes(64), b"")
                if lie == "replayed share":
                    wrong = (*self.board, wrong)[0]
                sealed = {**message.sealed, about: sha256(wrong).digest()}
                return self.say(replace(message, sealed=sealed), (*ciphertexts, wrong))
            case Seal(), "stray":
                commits_named = (bytes(32),) * len(message.commits)
                return self.say(replace(message, commits=commits_named), ciphertexts)
            case Confirm(), "stray":
                return self.say(replace(message, seals=(bytes(32),) * len(message.seals)))
            case Confirm(), "wrong tag":
                return self.say(replace(message, tag=bytes(32)))
        self.put(posting)
        return posting

    def say(self, message: Message, sealed: tuple[bytes, ...] = ()) -> Posting:
        envelope = sign_message(self.terms, message, SIGNERS[message.party])
        self.put(Posting(envelope, sealed))
        return Posting(envelope, sealed)

    @invariant()
    def nobody_honest_is_shown_to_be_at_fault(self) -> None:
        """Not even to a judge who has read a part of the log only."""
        for transcript in (self.judge, *self.read.values()) if hasattr(self, "judge") else ():
            for blame in transcript.blame(OPENS):
                assert blame.party in self.liars
                assert blame.fault in PROVEN

    @invariant()
    def there_is_one_key(self) -> None:
        assert len(set(getattr(self, "secrets", {}).values())) <= 1

    def teardown(self) -> None:
        """Now the board delivers everything, and all go on while they can."""
        if not hasattr(self, "judge"):
            return
        moved = True
        while moved:
            before = len(self.log)
            self.round()
            moved = len(self.log) > before
        self.there_is_one_key()
        read = list(self.log)
        random.Random(len(read)).shuffle(read)
        again = Transcript(self.terms, OPENS, DAY)
        for envelope in read + read[:3]:
            again.add(envelope, OPENS)
        blames = again.blame(END)
        assert {(one.party, one.fault) for one in blames} == {
            (one.party, one.fault) for one in self.judge.blame(END)
        }
        assert {blame.party for blame in blames} <= set(self.liars)
        # A liar may break what was complete: it is named, though all honest have the key.
        assert blames or self.secrets.keys() == set(self.honest)
        for blame in blames:
            if blame.fault in PROVEN:
                assert shows(self.terms, blame)


def shows(terms: Terms, blame: Blame) -> bool:
    """Whether who has nothing but the evidence comes to the same."""
    transcript = Transcript(terms, OPENS, DAY)
    for envelope in blame.evidence:
        transcript.add(envelope, OPENS)
    return [(one.party, one.fault) for one in transcript.blame(OPENS)] == [
        (blame.party, blame.fault)
    ]


SETTINGS = settings(
    max_examples=60,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_misbehaviour() -> None:
    run_state_machine_as_test(Misbehaviour, settings=SETTINGS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_misbehaviour_at_length() -> None:
    run_state_machine_as_test(
        Misbehaviour, settings=settings(SETTINGS, max_examples=1000, stateful_step_count=40)
    )


def played(seed: int) -> tuple[set[Fault], bool]:
    """The same by dice, with lies that fit the step: the faults, and whether all have a key."""
    dice = random.Random(seed)
    machine = Misbehaviour()
    machine.begin(
        n=dice.randint(2, 4),
        honest=dice.randint(1, 15),
        rounds=dice.randint(0, 3),
        n_parts=dice.choice([1, 1, 1, 2]),
        n_lies=dice.randint(0, 2),
    )
    for _ in range(dice.randint(2, 12)):
        who = dice.randrange(99)
        match dice.randrange(6):
            case 0 | 1 if machine.parts and machine.n_lies:
                machine.lie(who, dice.randrange(99), dice.choice(FITTING[machine.judge.step]))
            case 2:
                machine.crash(who, unsaved=dice.random() < 0.5)
            case 3:
                machine.deliver(who, [dice.randrange(99) for _ in range(4)])
                machine.honest_turn(who, lost=dice.random() < 0.5)
            case 4:
                machine.replay(who)
            case _:
                machine.round()
        machine.nobody_honest_is_shown_to_be_at_fault()
        machine.there_is_one_key()
    machine.teardown()
    faults = {blame.fault for blame in machine.judge.blame(END)}
    return faults, machine.secrets.keys() == set(machine.honest)


def test_misbehaviour_of_every_kind_is_met() -> None:
    outcomes = [played(seed) for seed in range(100)]
    met = Counter(fault for faults, _ in outcomes for fault in faults)
    assert met.keys() == set(Fault)
    assert sum(all_have_it for _, all_have_it in outcomes) > 20
