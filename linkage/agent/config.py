"""The agent's settings and its source file, each one TOML file, checked as a whole."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from keys.door import based
from linkage.agent.databaseurl import checked_url, url_from
from linkage.errors import ConfigError, MalformedMessageError
from linkage.gate import GateResult, parse_result
from linkage.normalise.dateparts import DateOrder
from linkage.schema import LinkageSchema, parse_schema, problems_of


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Strict):
    """PEM files."""

    certificate: Path
    private_key: Path
    authority: Path


class Agreement(_Strict):
    """What the linkage key is bound to, beside the schema.

    Attributes:
        id: name of the agreement.
        epoch: which of its keys, from 1; where the settings name none, the newest in the
            keystore.
        purpose: the agreement's purpose code.
        parties: all parties of the agreement; jobs with others are refused.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./-]{0,63}$")]
    epoch: Annotated[int, Field(ge=0, le=2**31)] = 0
    purpose: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./-]{0,63}$")]
    parties: Annotated[tuple[str, ...], Field(min_length=2)]


class Keys(_Strict):
    """The agent's keystore.

    Attributes:
        provider: what opens it, as `padan keys new --help` describes.
        linkage: the linkage key of the first epoch; those of others lie beside it, with their
            number in the name.
        sign: what the agent signs with for its party.
        witness: what it cosigns the log with, and nothing else; an office has none.
        witness_ml_dsa: its second key to cosign with, of ML-DSA-44; once it is enrolled, a line
            of the first alone counts no more.
        seal: of an office, what its head office seals the linkage key to.
    """

    provider: str
    linkage: Path
    sign: Path
    witness: Path | None = None
    witness_ml_dsa: Path | None = None
    seal: Path | None = None


class Gate(_Strict):
    """The risk gate that speaks for this agency's batches.

    Attributes:
        result: what `padan attack --out` wrote.
        limit: the highest rate of persons named that the agreement accepts; 1 waives it.
    """

    result: Path
    limit: Annotated[float, Field(ge=0, le=1)] = 0.005


class Connection(_Strict):
    """A PostgreSQL or SQLite database.

    Attributes:
        url: as SQLAlchemy has it, without a password: `postgresql://user@host/database`,
            `sqlite:///file`.
        password: where the password is: `prompt`, `fd:NUMBER`, `file:PATH` or
            `credential:NAME`. Where absent, the file that the environment variable
            PGPASSFILE names is looked in.
        authority: PEM file of who signed the server's certificate; needed unless the server
            is on this machine.
    """

    url: str
    password: str | None = None
    authority: Path | None = None

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: str) -> str:
        return checked_url(url)

    def based(self, base: Path) -> Self:
        """Return the same with paths that count from a folder."""
        update: dict[str, Any] = {"url": url_from(self.url, base)}
        if self.authority is not None:
            update["authority"] = base / self.authority
        if self.password is not None and self.password.startswith("file:"):
            update["password"] = f"file:{base / self.password.removeprefix('file:')}"
        return self.model_copy(update=update)


class Database(Connection):
    """A table of a database.

    Attributes:
        table: the table or view, with its schema before a dot where it has one.
        query: a SELECT in the place of a table.
    """

    table: Annotated[str, Field(min_length=1)] | None = None
    query: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("name either a table or a query")
        return self


class ResultTable(Connection):
    """A table that results are written to.

    Attributes:
        table: its name, with its schema before a dot where it has one; made where it is not
            there. Rows of one job take the place of earlier ones of that job.
    """

    table: Annotated[str, Field(min_length=1)]


class Delivery(_Strict):
    """Where results are brought to, beside the agent's work folder.

    Attributes:
        path: a CSV or Parquet file; `{job}` stands for the job's id.
        database: a table of a database.
    """

    path: Path | None = None
    database: ResultTable | None = None

    @field_validator("path")
    @classmethod
    def _is_one_for_each_job(cls, path: Path | None) -> Path | None:
        if path is not None and "{job}" not in path.name:
            raise ValueError("{job} has to be in its name: each job has a file of its own")
        return path


class AgentConfig(_Strict):
    """All settings of an agent; paths count from the settings file's folder.

    Attributes:
        party: whose agent this is.
        matcher: host and port of the matcher.
        work: folder of the agent's own files: references, spool, results.
        schema_file: the linkage schema.
        source: the source file.
        trust: trust file of the match log, obtained out of band.
        agreement: the agreement under which it links.
        keys: the agent's keystore.
        tls: PEM files.
        patience_s: how long to try again while the matcher cannot be reached.
        outage_s: the same of `padan agent run`, which waits through hours without a line.
        gate: the risk gate, None where the agreement asks for none.
        result: where results are brought to, beside the work folder.
    """

    party: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    matcher: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")]
    work: Path
    schema_file: Annotated[Path, Field(alias="schema")]
    source: Path
    trust: Path
    agreement: Agreement
    keys: Keys
    tls: Tls
    patience_s: Annotated[float, Field(ge=0)] = 60.0
    outage_s: Annotated[float, Field(ge=0)] = 86_400.0
    gate: Gate | None = None
    result: Delivery = Delivery()

    @property
    def linkage_key(self) -> Path:
        """Keystore file of the linkage key of the epoch."""
        first, epoch = self.keys.linkage, self.agreement.epoch
        return first if epoch == 1 else first.with_name(f"{first.stem}-{epoch}{first.suffix}")

    def at(self, epoch: int) -> "AgentConfig":
        """Return the same settings with another epoch."""
        return self.model_copy(
            update={"agreement": self.agreement.model_copy(update={"epoch": epoch})}
        )

    def newest(self) -> "AgentConfig":
        """Return the same settings with the newest epoch that the keystore has a file of."""
        first = self.keys.linkage
        stem, suffix = re.escape(first.stem), re.escape(first.suffix)
        names = (path.name for path in first.parent.glob(f"{first.stem}-*"))
        found = [re.fullmatch(rf"{stem}-([1-9][0-9]{{0,8}}){suffix}", name) for name in names]
        return self.at(max((int(name[1]) for name in found if name), default=1))


class SourceConfig(_Strict):
    """Where an agency's records are, and how it writes them: in a file, or in a database.

    Attributes:
        path: CSV (also .gz) or Parquet file.
        database: a table of a database.
        record_id: column of the agency's own record numbers; each occurs once.
        encoding: encoding of a CSV file.
        delimiter: what separates the columns of a CSV file.
        date_order: how dates that end in their year are written.
        year_pivot: the latest year that a year of two digits can mean.
        reference_year: the year in which ages were stated; needed only where parties
            stated them in different years, and then at all of them.
        columns: column of each attribute; where absent it has the attribute's name.
        values: what the agency's codes mean, by attribute.
    """

    path: Path | None = None
    database: Database | None = None
    record_id: str = "record_id"
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    date_order: DateOrder = "DMY"
    year_pivot: Annotated[int, Field(ge=1900, le=2100)] | None = None
    reference_year: Annotated[int, Field(ge=1900, le=2100)] | None = None
    columns: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.path is None) == (self.database is None):
            raise ValueError("name either a path or a [database]")
        return self

    @property
    def name(self) -> str:
        """What errors call the source."""
        if self.path is not None:
            return self.path.name
        return (self.database and self.database.table) or "the query"


_Model = TypeVar("_Model", bound=BaseModel)


def load_agent(path: Path) -> AgentConfig:
    """Read an agent's settings.

    Raises:
        ConfigError: the file cannot be read or breaks a rule; lists every problem.
    """
    config = _load(path, AgentConfig)
    base = path.resolve().parent
    update: dict[str, Any] = {
        name: base / getattr(config, name) for name in ("work", "schema_file", "source", "trust")
    }
    update["tls"] = config.tls.model_copy(update={k: base / v for k, v in config.tls})
    keys = config.keys
    update["keys"] = keys.model_copy(
        update={
            "provider": based(keys.provider, base),
            "linkage": base / keys.linkage,
            "sign": base / keys.sign,
            **{
                name: None if (path := getattr(keys, name)) is None else base / path
                for name in ("witness", "witness_ml_dsa", "seal")
            },
        }
    )
    if config.gate is not None:
        result = base / config.gate.result
        update["gate"] = config.gate.model_copy(update={"result": result})
    if config.result.path is not None:
        path = base / config.result.path
        update["result"] = config.result.model_copy(update={"path": path})
    if config.result.database is not None:
        database = config.result.database.based(base)
        result = update.get("result", config.result)
        update["result"] = result.model_copy(update={"database": database})
    loaded = config.model_copy(update=update)
    return loaded if loaded.agreement.epoch else loaded.newest()


def load_source(path: Path) -> SourceConfig:
    """Read a source file.

    Raises:
        ConfigError: the file cannot be read or breaks a rule; lists every problem.
    """
    config, base = _load(path, SourceConfig), path.resolve().parent
    if config.path is not None:
        return config.model_copy(update={"path": base / config.path})
    database = config.database and config.database.based(base)
    return config.model_copy(update={"database": database})


def load_schema(path: Path) -> LinkageSchema:
    """Read a linkage schema.

    Raises:
        ConfigError: the file cannot be read or breaks a rule; lists every problem.
    """
    return parse_schema(_read(path), str(path))


def load_gate(path: Path) -> GateResult:
    """Read the result of a risk gate.

    Raises:
        ConfigError: the file cannot be read, or is no result.
    """
    try:
        return parse_result(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror}: run `padan attack --out` first"
        raise ConfigError(str(path), [problem]) from error
    except MalformedMessageError as error:
        raise ConfigError(str(path), [str(error)]) from error


def _load(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate(tomllib.loads(_read(path)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), [f"not valid TOML: {error}"]) from error
    except ValidationError as error:
        raise ConfigError(str(path), problems_of(error)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), ["not written in UTF-8"]) from error
