"""Whoever breaks an exchange is named, by evidence that stands alone; nobody else is."""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from exchange_world import DAY, OPENS, SOON, World, begun, signer_of, terms_of

from keys.blame import Blame, Fault
from keys.combine import confirm_tag
from keys.dsse import Envelope
from keys.messages import (
    Commit,
    Confirm,
    Message,
    Posting,
    Seal,
    ShareComplaint,
    TagComplaint,
    Withdrawal,
    read_message,
    sign_message,
)
from keys.sealing import seal
from keys.transcript import Step, Transcript

TERMS = terms_of(4)
LIAR, VICTIM, OTHER = "imigrasi", "ahu", "kemenlu"
END = OPENS + 4 * DAY


def say(world: World, message: Message) -> Envelope:
    """Let a party say something in the log, whatever it is, and nothing honest after it."""
    envelope = sign_message(world.terms, message, signer_of(message.party))
    world.log.append(envelope)
    world.exchanges.pop(message.party, None)
    return envelope


def at(world: World, step: Step) -> World:
    """The world when all messages before a step are in."""
    for _ in range(step - 1):
        world.round()
    assert world.transcript().step is step
    return world


def lie_about_share(world: World, sealed: bytes, to: str = VICTIM) -> None:
    """Let the liar seal something else to one party, and its share to all others."""
    posting = world.exchanges[LIAR].advance(world.transcript(), world.transcript())
    assert posting is not None
    honest = read_message(world.terms, posting.envelope)
    assert isinstance(honest, Seal)
    lie = replace(honest, sealed={**honest.sealed, to: sha256(sealed).digest()})
    world.post(Posting(say_nowhere(world, lie), (*posting.ciphertexts, sealed)))
    del world.exchanges[LIAR]


def say_nowhere(world: World, message: Message) -> Envelope:
    return sign_message(world.terms, message, signer_of(message.party))


def info(world: World, sealer: str, recipient: str) -> bytes:
    commits_hash = world.transcript().commits_hash
    assert commits_hash is not None
    return world.terms.share_info(sealer, recipient, commits_hash)


def key_of(world: World, party: str) -> bytes:
    commits = world.transcript().commits
    assert commits is not None
    (key,) = (one.message.seal_key for one in commits if one.message.party == party)
    return key


def only_blame(world: World, now: datetime = SOON) -> Blame:
    """The one blame there is, which a judge with the evidence alone comes to as well."""
    (blame,) = world.transcript().blame(now)
    judge = Transcript(world.terms, OPENS, DAY)
    for envelope in blame.evidence:
        judge.add(envelope, SOON)
    if blame.fault not in {Fault.ABSENT, Fault.STRAY}:
        assert [(one.party, one.fault) for one in judge.blame(SOON)] == [(blame.party, blame.fault)]
    return blame


def opening_of(world: World, party: str) -> bytes:
    return bytes(world.exchanges[party]._opening)


WRONG = {
    "another share": lambda w: seal(key_of(w, VICTIM), bytes(64), info(w, LIAR, VICTIM)),
    "a share one bit off": lambda w: seal(
        key_of(w, VICTIM),
        bytes([opening_of(w, LIAR)[0] ^ 1]) + opening_of(w, LIAR)[1:],
        info(w, LIAR, VICTIM),
    ),
    "the share of another party": lambda w: seal(
        key_of(w, VICTIM), opening_of(w, OTHER), info(w, LIAR, VICTIM)
    ),
    "sealed to another": lambda w: seal(
        key_of(w, OTHER), opening_of(w, LIAR), info(w, LIAR, VICTIM)
    ),
    "sealed about another pair": lambda w: seal(
        key_of(w, VICTIM), opening_of(w, LIAR), info(w, LIAR, OTHER)
    ),
    "sealed about nothing": lambda w: seal(key_of(w, VICTIM), opening_of(w, LIAR), b""),
    "noise": lambda _: bytes(1200),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_share_blames_its_sealer(what: str) -> None:
    world = at(World(TERMS), Step.SEAL)
    lie_about_share(world, WRONG[what](world))
    world.run()
    blame = only_blame(world)
    assert (blame.party, blame.fault) == (LIAR, Fault.WRONG_SHARE)
    assert not any(exchange.done for exchange in world.exchanges.values())
    # And at the end of all time, it is still that.
    assert world.transcript().blame(END + DAY) == [blame]


def test_a_replayed_share_blames_who_replays_it() -> None:
    """What another sealed for the victim is no share of the liar, nor is an old one of its."""
    world = at(World(TERMS), Step.SEAL)
    posting = world.turn(OTHER)
    assert posting is not None
    seal_of_other = read_message(TERMS, posting.envelope)
    assert isinstance(seal_of_other, Seal)
    (theirs,) = (
        sealed
        for sealed in posting.ciphertexts
        if sha256(sealed).digest() == seal_of_other.sealed[VICTIM]
    )
    lie_about_share(world, theirs)
    world.run()
    assert (only_blame(world).party, only_blame(world).fault) == (LIAR, Fault.WRONG_SHARE)

    before = at(World(replace(TERMS, epoch=7)), Step.SEAL)
    old = before.turn(LIAR)
    assert old is not None
    seal_before = read_message(before.terms, old.envelope)
    assert isinstance(seal_before, Seal)
    wanted = seal_before.sealed[VICTIM]
    (replayed,) = (one for one in old.ciphertexts if sha256(one).digest() == wanted)
    world = at(World(TERMS), Step.SEAL)
    lie_about_share(world, replayed)
    world.run()
    assert (only_blame(world).party, only_blame(world).fault) == (LIAR, Fault.WRONG_SHARE)


def test_a_share_that_was_changed_after_its_commitment_is_blamed() -> None:
    """The last to commit sees all that there is to see, and can change nothing any more."""
    world = World(TERMS)
    world.round()
    other = begun(TERMS, LIAR, seed=2)
    sealed = seal(key_of(world, VICTIM), other._opening, info(world, LIAR, VICTIM))
    lie_about_share(world, sealed)
    world.run()
    assert only_blame(world).fault is Fault.WRONG_SHARE


def complaint(world: World, about: str = LIAR) -> ShareComplaint:
    """A complaint of the victim, in due form, about what some party sealed for it."""
    wanted = world.transcript().sealed_for(VICTIM)[about]
    (sealed,) = (one for one in world.board if sha256(one).digest() == wanted)
    secret = bytes(world.exchanges[VICTIM]._seal_key.secret())
    return ShareComplaint(VICTIM, about, sealed, secret)


def test_who_complains_of_a_right_share_is_blamed() -> None:
    world = at(World(TERMS), Step.CONFIRM)
    say(world, complaint(world))
    blame = only_blame(world)
    assert (blame.party, blame.fault) == (VICTIM, Fault.UNFOUNDED)


@pytest.mark.parametrize("part", ["ciphertext", "key", "another's ciphertext"])
def test_who_complains_with_what_is_not_in_the_log_is_blamed(part: str) -> None:
    world = at(World(TERMS), Step.CONFIRM)
    made = complaint(world)
    changed = {
        "ciphertext": replace(made, ciphertext=bytes(1200)),
        "key": replace(made, seal_secret=bytes(96)),
        "another's ciphertext": replace(made, about=OTHER),
    }[part]
    say(world, changed)
    blame = only_blame(world)
    assert (blame.party, blame.fault) == (VICTIM, Fault.UNFOUNDED)


def test_a_complaint_about_what_is_not_there_waits_and_then_falls_back() -> None:
    world = at(World(TERMS), Step.SEAL)
    say(world, ShareComplaint(VICTIM, LIAR, bytes(1200), bytes(96)))
    transcript = world.transcript()
    assert transcript.broken
    assert transcript.blame(END - timedelta(seconds=1)) == []
    assert only_blame(world, END) == Blame(VICTIM, Fault.STRAY, (world.log[-1],))


@pytest.mark.parametrize("tag", ["noise", "of another party", "of another transcript"])
def test_a_wrong_tag_blames_who_confirmed_by_it(tag: str) -> None:
    world = at(World(TERMS), Step.CONFIRM)
    posting = world.exchanges[LIAR].advance(world.transcript(), world.transcript(), world.board)
    assert posting is not None
    honest = read_message(TERMS, posting.envelope)
    assert isinstance(honest, Confirm)
    confirmed = world.turn(OTHER)
    assert confirmed is not None
    theirs = read_message(TERMS, confirmed.envelope)
    assert isinstance(theirs, Confirm)
    lies = {
        "noise": bytes(32),
        "of another party": theirs.tag,
        "of another transcript": confirm_tag(bytearray(32), LIAR, bytes(32)),
    }
    del world.exchanges[LIAR]
    say(world, replace(honest, tag=lies[tag]))
    world.run()
    blames = world.transcript().blame(SOON)
    assert {(blame.party, blame.fault) for blame in blames} == {(LIAR, Fault.WRONG_TAG)}
    assert not any(exchange.done for exchange in world.exchanges.values())
    for blame in blames:
        judge = Transcript(TERMS, OPENS, DAY)
        for envelope in blame.evidence:
            judge.add(envelope, SOON)
        assert judge.blame(SOON) == [blame]


@pytest.mark.parametrize("opened", ["as they were", "one of them wrong"])
def test_who_complains_of_a_right_tag_is_blamed(opened: str) -> None:
    world = at(World(TERMS), Step.COMPLETE)
    openings = [opening_of(world, party) for party in TERMS.names]
    if opened == "one of them wrong":
        openings[0] = bytes(64)
    say(world, TagComplaint(VICTIM, LIAR, tuple(openings)))
    blame = only_blame(world)
    assert (blame.party, blame.fault) == (VICTIM, Fault.UNFOUNDED)
    # The key is known to all now, so it is nobody's.
    world.run()
    assert not any(exchange.done for exchange in world.exchanges.values())


@pytest.mark.parametrize("step", [Step.COMMIT, Step.SEAL, Step.CONFIRM])
def test_a_second_message_of_one_kind_is_evidence_by_itself(step: Step) -> None:
    world = at(World(TERMS), Step(step + 1))
    first = read_message(TERMS, world.log[-len(TERMS.names) + TERMS.names.index(LIAR)])
    match first:
        case Commit():
            second: Message = replace(first, commitment=bytes(32))
        case Seal():
            second = replace(first, sealed={**first.sealed, VICTIM: bytes(32)})
        case Confirm():
            second = replace(first, tag=bytes(32))
    assert first.party == LIAR
    say(world, second)
    blame = only_blame(world)
    assert (blame.party, blame.fault) == (LIAR, Fault.EQUIVOCATION)
    assert world.transcript().broken
    world.run()
    assert not any(exchange.done for exchange in world.exchanges.values())
    # Nobody else is late with what nobody waits for.
    assert world.transcript().blame(END) == [blame]


def test_a_party_that_withdraws_is_named_and_ends_it() -> None:
    world = at(World(TERMS), Step.SEAL)
    say(world, Withdrawal(OTHER))
    world.run()
    assert only_blame(world, END).fault is Fault.WITHDRAWN
    assert len(world.log) == 5


@pytest.mark.parametrize("step", [Step.COMMIT, Step.SEAL, Step.CONFIRM])
def test_who_says_nothing_is_named_when_its_time_is_over(step: Step) -> None:
    world = World(TERMS)
    for _ in range(step - 1):
        world.round()
    del world.exchanges[LIAR]
    world.run()
    transcript = world.transcript()
    assert transcript.blame(OPENS + step * DAY - timedelta(seconds=1)) == []
    assert transcript.blame(OPENS + step * DAY) == [Blame(LIAR, Fault.ABSENT, ())]


@pytest.mark.parametrize("step", [Step.SEAL, Step.CONFIRM])
def test_who_builds_on_what_is_not_there_is_named_when_its_time_is_over(step: Step) -> None:
    world = at(World(TERMS), step)
    posting = world.exchanges[LIAR].advance(world.transcript(), world.transcript(), world.board)
    assert posting is not None
    honest = read_message(TERMS, posting.envelope)
    match honest:
        case Seal():
            lie: Message = replace(honest, commits=(bytes(32), *honest.commits[1:]))
        case Confirm():
            lie = replace(honest, seals=(bytes(32), *honest.seals[1:]))
    del world.exchanges[LIAR]
    made = say(world, lie)
    world.run()
    transcript = world.transcript()
    assert transcript.blame(SOON) == []
    assert transcript.blame(OPENS + step * DAY) == [Blame(LIAR, Fault.STRAY, (made,))]


def test_who_was_shown_another_commit_is_not_blamed_for_it() -> None:
    """The liar shows two parties two commits. Both build on what they saw: it alone is named."""
    one, two = World(TERMS), World(TERMS)
    two.exchanges[LIAR] = begun(TERMS, LIAR, seed=2)
    for world in (one, two):
        world.round()
    saw_one, saw_two = one.turn(VICTIM), two.turn(OTHER)
    assert saw_one is not None
    assert saw_two is not None
    one.post(saw_two)
    one.log += [envelope for envelope in two.log if envelope not in one.log]
    blame = only_blame(one, END)
    assert (blame.party, blame.fault) == (LIAR, Fault.EQUIVOCATION)


def test_a_complaint_that_was_made_is_heard_though_the_exchange_was_broken() -> None:
    world = at(World(TERMS), Step.SEAL)
    lie_about_share(world, bytes(1200))
    for party in (VICTIM, OTHER):
        world.turn(party)
    world.turn("dukcapil")
    made = world.exchanges[VICTIM].advance(world.transcript(), world.transcript(), world.board)
    assert made is not None
    say(world, Withdrawal(LIAR))
    again = world.exchanges[VICTIM].advance(world.transcript(), world.transcript(), world.board)
    assert again == made
    world.post(again)
    faults = {(blame.party, blame.fault) for blame in world.transcript().blame(SOON)}
    assert faults == {(LIAR, Fault.WITHDRAWN), (LIAR, Fault.WRONG_SHARE)}


def shown(*envelopes: Envelope) -> Transcript:
    """A judge to whom no more was shown yet."""
    transcript = Transcript(TERMS, OPENS, DAY)
    for envelope in envelopes:
        transcript.add(envelope, SOON)
    return transcript


def test_nobody_is_blamed_for_a_seal_to_a_key_that_was_changed_later() -> None:
    """The victim lies: it commits twice, and shows the key that nothing was sealed to."""
    world = at(World(TERMS), Step.CONFIRM)
    other = begun(TERMS, VICTIM, seed=2)
    commit, sealed = world.log[TERMS.names.index(LIAR)], world.log[4 + TERMS.names.index(LIAR)]
    secret = bytes(other._seal_key.secret())
    lie = say_nowhere(world, replace(complaint(world), seal_secret=secret))
    second, first = other._made[0].envelope, world.log[TERMS.names.index(VICTIM)]
    judge = shown(commit, second, sealed, lie)
    assert judge.blame(SOON) == []
    judge.add(first, SOON)
    assert [(one.party, one.fault) for one in judge.blame(SOON)] == [(VICTIM, Fault.EQUIVOCATION)]


def test_nobody_is_blamed_for_a_tag_over_a_commit_that_was_changed_later() -> None:
    """The liar commits twice, and opens the commitment that the other has never seen."""
    world = at(World(TERMS), Step.COMPLETE)
    other = begun(TERMS, LIAR, seed=2)
    openings = [
        bytes(other._opening) if party == LIAR else opening_of(world, party)
        for party in TERMS.names
    ]
    lie = say_nowhere(world, TagComplaint(LIAR, VICTIM, tuple(openings)))
    n = TERMS.names.index(LIAR)
    commits = [*world.log[:n], other._made[0].envelope, *world.log[n + 1 : 4]]
    judge = shown(*commits, *world.log[4:], lie)
    assert judge.blame(SOON) == []
    judge.add(world.log[n], SOON)
    assert [(one.party, one.fault) for one in judge.blame(SOON)] == [(LIAR, Fault.EQUIVOCATION)]


def test_who_holds_nothing_back_but_the_board_is_only_late() -> None:
    """Nobody can tell whether a party was silent or kept silent: no more is said of it."""
    world = at(World(TERMS), Step.CONFIRM)
    world.board.clear()
    world.run()
    late = world.transcript().blame(OPENS + 3 * DAY)
    assert {blame.fault for blame in late} == {Fault.ABSENT}
    assert all(blame.evidence == () for blame in late)
