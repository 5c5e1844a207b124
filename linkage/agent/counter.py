"""Lookups for other programs: a counter's own software asks, and an official decides.

    with open_counter(Path("agent.toml"), "dukcapil") as counter:
        answer = counter.find({"nama": "SITI AMINAH", "tgl_lahir": "1990-02-13"})
        for answer in counter.find_all(applicants):
            ...

Opening takes a second or so, for keys and hardening; keep it open. It belongs to one thread.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from linkage.agent.config import load_agent
from linkage.agent.lookup import Lookup, LookupAnswer, LookupClient
from linkage.agent.session import Session
from linkage.job import PARTY_NAME
from linkage.rpc.channel import open_channel


class Counter:
    """Looks persons up in one register.

    Args:
        client: calls of the party.
        lookup: encodes what is known of a person.
        register: the party whose register is looked up.
    """

    def __init__(self, client: LookupClient, lookup: Lookup, register: str) -> None:
        self._client, self._lookup, self._register = client, lookup, register

    def __repr__(self) -> str:
        return f"Counter({self._register!r})"

    def find(self, person: Mapping[str, str]) -> LookupAnswer:
        """Return the answer about one person.

        Args:
            person: value of each attribute that is known, as the agency writes it.

        Raises:
            RecordError: an attribute is none of the schema's, or no value says anything.
            LinkageError: as `LookupClient.find`.
        """
        return self._client.find(self._lookup.question(self._register, person))

    def find_all(self, persons: Iterable[Mapping[str, str]]) -> Iterator[LookupAnswer]:
        """Yield the answers about many persons over one stream, in their order.

        Persons may come one by one, for as long as an hour. They are taken from another
        thread, and some are taken before the first answer.

        Args:
            persons: as for `find`.

        Raises:
            RecordError: a person cannot be asked about; those before are answered first. What
                `persons` itself raises comes out likewise.
            LinkageError: as `LookupClient.find_all`.
        """
        questions = (self._lookup.question(self._register, person) for person in persons)
        yield from self._client.find_all(questions)


@contextmanager
def open_counter(settings: Path, register: str) -> Iterator[Counter]:
    """Open a counter, and overwrite the linkage key at the end.

    Args:
        settings: the agent's settings file.
        register: the party whose register is looked up.

    Raises:
        ConfigError: the settings, or a file that they name, are refused.
        KeystoreError: the linkage key cannot be opened.
        ValueError: `register` is no name of a party.
    """
    if not PARTY_NAME.fullmatch(register):
        raise ValueError(f"not a party: one has the form {PARTY_NAME.pattern}")
    session = Session(load_agent(settings))
    try:
        with open_channel(session.config.matcher, session.tls) as channel:
            keys = [line.key for line in session.trust.logs]
            client = LookupClient(channel, session.config.patience_s, session.requests, keys)
            yield Counter(client, Lookup(session), register)
    finally:
        session.key.wipe()
