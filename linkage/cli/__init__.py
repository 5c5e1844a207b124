"""The program `padan`: one command line over all roles.

Results go to stdout, words and progress to stderr. Exit codes: 0 done, 1 refused,
2 usage or settings, 3 verification failed. Each command imports its role when it
runs, so that `padan --help` is quick and a matcher never loads an agent.
"""

import os
import sys

import click

from keys.errors import KeysError
from linkage import __version__
from linkage.errors import ConfigError, LinkageError, VerificationError

REFUSED, USAGE, UNVERIFIED = 1, 2, 3
_OWNER_ONLY = 0o077

_COMMANDS = {
    "demo": ("linkage.cli.demo", "demo"),
    "evaluate": ("linkage.cli.evaluate", "evaluate"),
    "attack": ("linkage.cli.attack", "attack"),
    "synth": ("linkage.cli.synth", "synth"),
    "schema": ("linkage.cli.schema", "schema"),
    "keys": ("linkage.cli.keys", "keys"),
    "agreement": ("linkage.cli.agreement", "agreement"),
    "enrol": ("linkage.cli.enrol", "enrol"),
    "agent": ("linkage.cli.agent", "agent"),
    "matcher": ("linkage.cli.matcher", "matcher"),
    "lookup": ("linkage.cli.lookup", "lookup"),
    "audit": ("linkage.cli.audit", "audit"),
    "coordinator": ("linkage.cli.coordinator", "coordinator"),
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        import importlib

        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="padan")
def padan() -> None:
    """Link records between agencies without showing them to each other or to any centre."""


def main() -> None:
    """Run `padan` and exit with its code.

    Whatever a command writes, its owner alone can read: most of it is keys, records
    or encodings of them.
    """
    os.umask(_OWNER_ONLY)
    try:
        padan.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("padan: stopped", err=True)
        sys.exit(130)
    except ConfigError as error:
        click.echo(f"padan: {error}", err=True)
        sys.exit(USAGE)
    except VerificationError as error:
        click.echo(f"padan: not verified: {error}", err=True)
        sys.exit(UNVERIFIED)
    except (LinkageError, KeysError) as error:
        click.echo(f"padan: {error}", err=True)
        sys.exit(REFUSED)
    except OSError as error:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        click.echo(f"padan: {': '.join([*names, error.strerror or str(error)])}", err=True)
        sys.exit(USAGE)
