"""The one table from errors to gRPC status codes, and back.

A deliberate error travels as its status code, its text, and its class name in the
trailing metadata, so that the client raises the same class again. Anything else
becomes INTERNAL with a fixed text: what went wrong inside is for the operator.
"""

import errno

import grpc

from linkage import errors

ERROR_KEY = "padan-error"
CODE_KEY = "padan-code"
INTERNAL_TEXT = "the matcher failed on this call; its operator finds the cause in the matcher's log"

STATUS_OF: dict[type[errors.LinkageError], grpc.StatusCode] = {
    errors.LinkageError: grpc.StatusCode.INTERNAL,
    errors.ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.InputError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.MalformedMessageError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.SchemaMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.KeyMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RecordError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PolicyError: grpc.StatusCode.PERMISSION_DENIED,
    errors.DeniedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.QuotaExceededError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.JobStateError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.UnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.VerificationError: grpc.StatusCode.DATA_LOSS,
    errors.ProofError: grpc.StatusCode.DATA_LOSS,
    errors.CheckpointError: grpc.StatusCode.DATA_LOSS,
    errors.SignatureError: grpc.StatusCode.DATA_LOSS,
    errors.SplitViewError: grpc.StatusCode.DATA_LOSS,
}
_CLASS_OF = {error.__name__: error for error in STATUS_OF}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def status_of(error: BaseException) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """Return status code, text and trailing metadata for an error of a handler."""
    if isinstance(error, OSError) and error.errno in _FULL:
        # What a call had written it finds again when it is made again.
        error = errors.UnavailableError("the matcher's disk takes no more: its operator is told")
    if not isinstance(error, errors.LinkageError):
        return grpc.StatusCode.INTERNAL, INTERNAL_TEXT, ()
    trailing = [(ERROR_KEY, type(error).__name__)]
    if isinstance(error, errors.DeniedError):
        trailing.append((CODE_KEY, error.code))
    return STATUS_OF[type(error)], str(error), tuple(trailing)


def error_of(call: grpc.Call) -> errors.LinkageError:
    """Return the error that a failed call stands for at the client."""
    text = call.details() or "no details"
    trailing = {str(key): str(value) for key, value in call.trailing_metadata() or ()}
    kind = _CLASS_OF.get(trailing.get(ERROR_KEY, ""))
    if kind is errors.DeniedError:
        code = trailing.get(CODE_KEY, "DENIED")
        return errors.DeniedError(code, text.removeprefix(f"{code}: "))
    if kind is errors.ConfigError:
        return errors.ConfigError("matcher", [text])
    if kind is not None:
        return kind(text)
    if call.code() in _TRANSIENT:
        return errors.UnavailableError(
            f"the matcher cannot be reached ({text}): check its address, that it runs, "
            "and that both certificates are valid"
        )
    if call.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return errors.DeniedError(call.code().name, text)
    return errors.LinkageError(f"{call.code().name}: {text}")
