import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import ConfigError
from linkage.log.policy import (
    GroupLine,
    LogLine,
    Policy,
    WitnessLine,
    format_policy,
    parse_policy,
)
from linkage.log.vkey import VerifierKey, format_vkey


def key(name: str, seed: int, algorithm: int = 0x04) -> VerifierKey:
    if algorithm == 0x06:
        return VerifierKey(name, algorithm, bytes([seed]) * 1312)
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return VerifierKey(name, algorithm, private.public_key().public_bytes_raw())


LOG = key("log.test/a", 1, 0x01)
W = {
    f"{side}{n}": key(f"w.test/{side}{n}", 10 * (side == "Y") + n + 1)
    for side in "XY"
    for n in (1, 2, 3)
}
VKEY = format_vkey(LOG)
WKEY = format_vkey(W["X1"])
WITNESSES = "".join(f"witness {name} {format_vkey(k)}\n" for name, k in W.items())
SPEC = f"""# the example of the specification
log {VKEY} https://log.test/a
 \t
{WITNESSES}
group X-witnesses 2 X1 X2 X3
\tgroup  Y-witnesses any Y1 Y2\tY3\x20
group X-and-Y all X-witnesses Y-witnesses
   # and so
quorum X-and-Y
"""


def test_only_a_log() -> None:
    policy = Policy((LogLine(LOG),))
    data = format_policy(policy, comment="Padan trust file\n\nof the pilot")
    assert data.decode() == (f"# Padan trust file\n#\n# of the pilot\nlog {VKEY}\nquorum none\n")
    assert parse_policy(data) == policy
    assert policy.quorum_met(frozenset())
    assert policy.log_keys("log.test/a") == (LOG,)
    assert policy.log_keys("log.test/b") == ()
    assert policy.witness_keys() == ()


def test_the_example_of_the_specification() -> None:
    policy = parse_policy(SPEC.encode())
    assert policy.logs == (LogLine(LOG, "https://log.test/a"),)
    assert policy.witnesses == tuple(WitnessLine(name, k) for name, k in W.items())
    assert policy.groups == (
        GroupLine("X-witnesses", 2, ("X1", "X2", "X3")),
        GroupLine("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        GroupLine("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    assert parse_policy(format_policy(policy)) == policy
    assert policy.witness_names([W["X2"], LOG]) == {"X2"}


@pytest.mark.parametrize(
    ("witnesses", "enough"),
    [
        ("X1 X2 Y3", True),
        ("X1 X2 X3 Y1 Y2 Y3", True),
        ("X1 Y1 Y2 Y3", False),
        ("X1 X2 X3", False),
        ("X-witnesses Y-witnesses", False),
        ("X-and-Y", False),
        ("", False),
    ],
)
def test_quorum(witnesses: str, enough: bool) -> None:
    assert parse_policy(SPEC.encode()).quorum_met(frozenset(witnesses.split())) is enough


def test_a_log_with_two_keys_and_witnesses_of_both_types() -> None:
    policy = Policy(
        (LogLine(LOG), LogLine(key("log.test/a", 2, 0x06))),
        (WitnessLine("w", key("w", 3)), WitnessLine("v", key("v", 4, 0x06), "https://v")),
        quorum="v",
    )
    assert parse_policy(format_policy(policy)) == policy
    assert policy.quorum_met({"v"})
    assert not policy.quorum_met({"w"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no quorum"),
        ("# nothing\n", "no quorum"),
        ("quorum none", "last line"),
        ("quorum none\nquorum none\n", "line 2: a second"),
        ("quorum w\n", "line 1: a quorum that is not defined"),
        (f"quorum X1\nwitness X1 {WKEY}\n", "line 1: a quorum that is not defined"),
        ("quorum none more\n", "line 1: not a"),
        ("Quorum none\n", "line 1: not a"),
        ("hello\nquorum none\n", "line 1: not a"),
        ("log\nquorum none\n", "line 1: not a"),
        (f"log {VKEY} u v\nquorum none\n", "line 1: not a"),
        (f"log {VKEY}x\nquorum none\n", "line 1: "),
        (f"log {WKEY}\nquorum none\n", "cannot sign here"),
        (f"witness w {VKEY}\nquorum none\n", "cannot sign here"),
        (f"log {VKEY}\nlog {VKEY}\nquorum none\n", "line 2: a public key listed twice"),
        (f"witness v {WKEY}\nwitness w {WKEY}\nquorum none\n", "line 2: a public key listed twice"),
        (f"log {VKEY}\nwitness w {format_vkey(key('w', 1))}\nquorum none\n", "listed twice"),
        (f"witness none {WKEY}\nquorum none\n", "line 1: a name defined twice"),
        (f"witness w {WKEY}\ngroup w any w\nquorum w\n", "line 2: a name defined twice"),
        (f"witness w {WKEY}\ngroup g 0 w\nquorum w\n", "line 2: a threshold"),
        (f"witness w {WKEY}\ngroup g 2 w\nquorum w\n", "line 2: a threshold"),
        (f"witness w {WKEY}\ngroup g 01 w\nquorum w\n", "line 2: a threshold"),
        (f"witness w {WKEY}\ngroup g some w\nquorum w\n", "line 2: a threshold"),
        (f"witness w {WKEY}\ngroup g any\nquorum w\n", "line 2: not a"),
        (f"witness w {WKEY}\ngroup g any g\nquorum w\n", "line 2: a group of names"),
        (f"witness w {WKEY}\ngroup g any none\nquorum w\n", "line 2: a member"),
        (f"witness w {WKEY}\ngroup g 2 w w\nquorum w\n", "line 2: a member"),
        (f"witness w {WKEY}\ngroup g any w\ngroup h any w\nquorum w\n", "line 3: a member"),
        ("quorum\x0bnone\n", "control"),
        ("quorum none\r\n", "control"),
        ("#\x7f\nquorum none\n", "control"),
        ("\n" * 1001 + "quorum none\n", "1000 lines"),
    ],
)
def test_refused_lines(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_policy(text.encode())


def test_every_problem_is_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_policy(b"hello\nlog x\nquorum w\n")
    assert len(caught.value.problems) == 3


def test_not_utf8() -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_policy(b"# \xff\nquorum none\n")


@pytest.mark.parametrize(
    "policy",
    [
        Policy((LogLine(LOG, ""),)),
        Policy((LogLine(LOG, "a b"),)),
        Policy((), (WitnessLine("a b", W["X1"]),)),
        Policy((), (), (), "nobody"),
    ],
)
def test_what_would_read_differently_is_not_written(policy: Policy) -> None:
    with pytest.raises(ConfigError):
        format_policy(policy)
