"""Errors and status codes: one table, complete, and the same class at the other side."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest

from linkage import errors
from linkage.rpc.status import CODE_KEY, ERROR_KEY, INTERNAL_TEXT, STATUS_OF, error_of, status_of


def tree(root: type[errors.LinkageError] = errors.LinkageError) -> Iterator[type]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


CLASSES = [kind for kind in tree() if kind.__module__ == "linkage.errors"]


def made(kind: type[errors.LinkageError]) -> errors.LinkageError:
    if kind is errors.ConfigError:
        return errors.ConfigError("settings", ["one problem", "another"])
    if kind is errors.DeniedError:
        return errors.DeniedError("NO_AGREEMENT", "sign one first", ["rule-7"])
    return kind("what is wrong: and what to do")


@dataclass
class FailedCall:
    """A failed call as grpc hands it to a client."""

    status: grpc.StatusCode
    text: str | None = "text"
    trailing: tuple[tuple[str, str | bytes], ...] | None = field(default=())

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str | None:
        return self.text

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...] | None:
        return self.trailing


def test_the_table_holds_the_whole_tree_and_nothing_else() -> None:
    assert len(CLASSES) >= 18
    assert set(STATUS_OF) == set(CLASSES)


def test_the_drawn_tree_names_every_class() -> None:
    for kind in CLASSES:
        assert kind.__name__ in (errors.__doc__ or "")
        assert kind.__doc__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_deliberate_error_travels_with_its_text_and_class(
    kind: type[errors.LinkageError],
) -> None:
    error = made(kind)
    code, text, trailing = status_of(error)
    assert code is STATUS_OF[kind]
    assert code is not grpc.StatusCode.OK
    assert text == str(error)
    assert dict(trailing)[ERROR_KEY] == kind.__name__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_client_raises_the_class_that_the_server_raised(
    kind: type[errors.LinkageError],
) -> None:
    error = made(kind)
    back = error_of(FailedCall(*status_of(error)))  # type: ignore[arg-type]
    assert type(back) is kind
    assert str(error) in str(back)
    if kind is not errors.ConfigError:
        assert str(back) == str(error)


def test_a_denial_keeps_its_code() -> None:
    back = error_of(FailedCall(*status_of(made(errors.DeniedError))))  # type: ignore[arg-type]
    assert isinstance(back, errors.DeniedError)
    assert back.code == "NO_AGREEMENT"
    assert str(back) == "NO_AGREEMENT: sign one first"


def test_metadata_keys_and_values_are_such_as_grpc_takes() -> None:
    for kind in CLASSES:
        for key, value in status_of(made(kind))[2]:
            assert key == key.lower()
            assert value.isascii()
    assert {ERROR_KEY, CODE_KEY} == {"padan-error", "padan-code"}


@pytest.mark.parametrize(
    "error",
    [
        ValueError("SENTINEL"),
        KeyError("SENTINEL"),
        OSError(2, "SENTINEL", "/SENTINEL"),
        RuntimeError("SENTINEL"),
        AssertionError("SENTINEL"),
        UnicodeDecodeError("utf-8", b"SENTINEL", 0, 1, "SENTINEL"),
        ExceptionGroup("SENTINEL", [ValueError("SENTINEL")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_unknown_error_becomes_internal_with_a_fixed_text(error: Exception) -> None:
    assert status_of(error) == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT, ())
    back = error_of(FailedCall(*status_of(error)))  # type: ignore[arg-type]
    assert type(back) is errors.LinkageError
    assert INTERNAL_TEXT in str(back)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_call_that_did_not_arrive_may_be_tried_again(code: grpc.StatusCode) -> None:
    error = error_of(FailedCall(code, "failed to connect"))  # type: ignore[arg-type]
    assert type(error) is errors.UnavailableError
    assert "failed to connect" in str(error)
    assert "check its address" in str(error)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED]
)
def test_a_refusal_without_our_metadata_is_a_denial(code: grpc.StatusCode) -> None:
    error = error_of(FailedCall(code, "no"))  # type: ignore[arg-type]
    assert isinstance(error, errors.DeniedError)
    assert error.code == code.name


TRAILING: list[tuple[tuple[str, str | bytes], ...] | None] = [
    None,
    (),
    ((ERROR_KEY, "NoSuchError"),),
    ((ERROR_KEY, "KeyboardInterrupt"),),
    ((ERROR_KEY, b"\xff"),),
    ((ERROR_KEY, "DeniedError"),),
    ((CODE_KEY, "X"),),
]


@pytest.mark.parametrize("code", list(grpc.StatusCode))
@pytest.mark.parametrize("trailing", TRAILING)
def test_whatever_a_peer_answers_is_a_deliberate_error(
    code: grpc.StatusCode, trailing: tuple[tuple[str, str | bytes], ...] | None
) -> None:
    for text in (None, "", "text"):
        error = error_of(FailedCall(code, text, trailing))  # type: ignore[arg-type]
        assert isinstance(error, errors.LinkageError)
        assert str(error)
