"""A register is encoded under a new key while the old one answers, and killed on the way."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from grants import give, grant
from in_process import Service, make_linkage_keys, person
from test_lookup import (
    RECORDS,
    WITH_NIK,
    QuietUpload,
    nik,
    registered,
    send,
)

from linkage.agent.config import load_agent
from linkage.agent.lookup import Lookup, LookupClient
from linkage.agent.references import References
from linkage.agent.register import RegisterUpload, Uploaded, is_kept, register_of
from linkage.agent.source import Source
from linkage.cli.agent import _renew_register
from linkage.encode.encoder import Encoder
from linkage.errors import KeyMismatchError
from linkage.rpc.channel import open_channel
from linkage.store.artefacts import ArtefactStore

PIECE = 20
N_PIECES = -(-RECORDS // PIECE)


class Killed(BaseException):
    """The end of a process, as far as one can have it inside another."""


@pytest.fixture
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service with a register under the first key, and a second key."""
    made = new_service(WITH_NIK, dukcapil=registered(RECORDS), imigrasi=registered(10))
    with made.running():
        assert refresh(made, 1).revision == 1
    make_linkage_keys(made.site, 2)
    with made.running():
        give(made, grant(made))
        yield made


def refresh(service: Service, epoch: int) -> Uploaded:
    session = service.session("dukcapil", epoch)
    with open_channel(service.site.address, session.tls) as channel:
        client = LookupClient(channel, service.patience_s)
        return RegisterUpload(session, client, datetime.now(UTC).date()).refresh(QuietUpload())


def answer(service: Service, epoch: int) -> tuple[str, int]:
    row = {**person(3), "nik": nik(3)}
    del row["record_id"]
    asked = Lookup(service.session("imigrasi", epoch)).question("dukcapil", row)
    found = send(service, asked, epoch=epoch)
    return found.answer, found.revision


def references(service: Service, epoch: int) -> set[bytes]:
    session = service.session("dukcapil", epoch)
    own = References(session.store, session.config.agreement, datetime.now(UTC).date())
    ids = [row["record_id"] for row in registered(RECORDS)]
    joined = own.of(ids)
    return {joined[i : i + 16] for i in range(0, len(joined), 16)}


def in_pieces(chunks: Callable[[Source], Iterator[Any]]) -> Callable[[Source], Iterator[Any]]:
    def cut(source: Source) -> Iterator[Any]:
        for table in chunks(source):
            for start in range(0, len(table), PIECE):
                yield table.slice(start, PIECE)

    return cut


def test_killed_at_every_write_it_goes_on_and_the_old_one_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "chunks", in_pieces(Source.chunks))
    write, codes = ArtefactStore.write, Encoder.codes
    register = register_of(service.session("dukcapil", 2).config.agreement)
    left, encoded = [0], [0]

    def dies(store: ArtefactStore, dataset: str, name: str, content: bytes) -> None:
        if dataset == register:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        write(store, dataset, name, content)

    def counted(encoder: Encoder, columns: Any) -> Any:
        made = codes(encoder, columns)
        encoded[0] += len(made) > 1  # a lookup encodes one person
        return made

    kills = 0
    with monkeypatch.context() as patch:
        patch.setattr(ArtefactStore, "write", dies)
        patch.setattr(Encoder, "codes", counted)
        while True:
            left[0] = 2  # a chunk and its piece: so much is done before it dies again
            try:
                done = refresh(service, 2)
                break
            except Killed:
                kills += 1
            if kills in (1, N_PIECES):
                assert answer(service, 1) == ("yes", 1)
                with pytest.raises(KeyMismatchError):
                    answer(service, 2)
    assert kills >= N_PIECES
    assert (done.revision, done.n_records) == (2, RECORDS)
    # With each kill one piece at most was lost; once whole, all are compared with what was sent.
    assert encoded[0] <= 2 * N_PIECES + kills
    assert answer(service, 2) == ("yes", 2)
    with pytest.raises(KeyMismatchError):
        answer(service, 1)
    # Drawn anew: nothing joins the two registers.
    assert not references(service, 1) & references(service, 2)
    again = refresh(service, 2)
    assert (again.revision, again.n_sent, again.leaf_index) == (2, 0, None)


def test_records_that_change_meanwhile_are_sent_as_they_are_now(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "chunks", in_pieces(Source.chunks))
    pieces = [0]

    class Dies(QuietUpload):
        def encoding(self, n_records: int) -> None:
            pieces[0] = n_records
            if n_records >= RECORDS // 2:
                raise Killed

    session = service.session("dukcapil", 2)
    with open_channel(service.site.address, session.tls) as channel:
        upload = RegisterUpload(session, LookupClient(channel, 5.0), datetime.now(UTC).date())
        with pytest.raises(Killed):
            upload.refresh(Dies())
    # Of the person that is asked for, nothing is left in the source.
    path = service.folder("dukcapil") / "records.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:4] + lines[5:]), "utf-8")
    done = refresh(service, 2)
    assert (done.n_records, done.n_sent) == (RECORDS - 1, RECORDS - 1)
    assert answer(service, 2) == ("no", 2)


SLOWLY = """
import sys, time
import linkage.agent.source as source
whole = source.Source.chunks
def chunks(self):
    for table in whole(self):
        for start in range(0, len(table), 8):
            yield table.slice(start, 8)
            time.sleep(0.1)
source.Source.chunks = chunks
from linkage.cli import main
sys.argv = ["padan", "lookup", "register", "--settings", sys.argv[1], "--json"]
main()
"""


def test_a_process_that_is_killed_leaves_what_the_next_one_needs(service: Service) -> None:
    settings = str(service.folder("dukcapil") / "agent.toml")
    session = service.session("dukcapil", 2)
    name = register_of(session.config.agreement)

    def started() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-c", SLOWLY, settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def pieces() -> int:
        return sum(one.startswith("piece-") for one in session.store.names(name))

    running = started()
    while pieces() < 3 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert answer(service, 1) == ("yes", 1)
    assert not is_kept(session.store, session.config.agreement)
    # What `padan agent rotate` does in the end; once done, there is nothing to do.
    config = load_agent(service.folder("dukcapil") / "agent.toml")
    _renew_register(config)
    _renew_register(config)
    assert answer(service, 2) == ("yes", 2)
