# SPDX-License-Identifier: GPL-2.0-only
"""The ``harness`` command: finds the subcommand, shows errors, sets the exit status.

Subcommands live in a module each, ``harness.cli.<name>``, as the click command ``command``; one is imported only when
it is called, so that ``harness boot`` does not wait for what ``harness run`` needs.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from harness import __version__
from harness.cli.session import Session
from harness.display import printable
from harness.errors import EnvironmentFailure, HarnessError, UserError, nearest, shortage
from harness.process import quoted
from harness.store import disk_failure

_INTERRUPTED = 130  # as a shell has it: 128 + SIGINT
_NOT_READ = 141  # 128 + SIGPIPE
_LONGEST_LINE = 1 << 16  # QEMU's command is long

# name → one line for `harness -h` (kept here so that help imports no subcommand)
COMMANDS = {
    "run": "Source to verdict: fetch, apply, build, boot, test, report.",
    "history": "Show finished runs, and how a case fared in them.",
    "compare": "Show what changed from one run to another.",
    "site": "Write the history as web pages that open from disk.",
    "build": "Build a kernel (and show where it is).",
    "boot": "Boot a guest: a shell, or one command with its exit status.",
    "logs": "Print the consoles of a run's guests, or what is around a case.",
    "inspect": "Open drgn on the memory dump of a run.",
    "config": "Show, compare and explain kernel configurations.",
    "series": "Show, apply and check a patch series.",
    "source": "Fetch a kernel tree and show what it is.",
    "gate": "Base against head: is a revision ready to be posted?",
    "bisect": "Find the patch, commit or option that changes a verdict.",
    "nightly": "Run a matrix of cells, unattended; only what has moved.",
    "bundle": "Pack what reproduces a run into one archive.",
    "repro": "Make a failure happen again, from a bundle or a run.",
    "mutants": "Break our series in small ways: which suite finds out?",
    "topology": "List, show and draw CXL topologies.",
    "image": "Build the guest's root file system.",
    "doctor": "Check this machine, without changing anything.",
    "cache": "List, check and prune what is cached.",
}


class _Plain(logging.Formatter):
    """What is logged may quote a guest, a patch or a tree."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, fit for a terminal."""
        return printable(super().format(record), limit=_LONGEST_LINE)


class _Commands(click.Group):
    """A group that imports a subcommand when it is asked for, and names the nearest one for a misspelt name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"harness.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            close = nearest(args[0], COMMANDS)
            hint = f" Did you mean '{close}'?" if close else ""
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="harness")
@click.option("-v", "--verbose", count=True, help="Show the commands that are run (-vv: everything).")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Where kernels, images and repositories are kept.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where runs are kept.")
@click.option("--history", metavar="URL|FILE|off", help="The history of runs: postgresql://…, or a file of SQLite.")
@click.pass_context
def cli(ctx: click.Context, verbose: int, cache_dir: Path | None, data_dir: Path | None, history: str | None) -> None:
    """Builds a kernel with a patch series and judges it in QEMU on emulated CXL hardware.

    \b
    harness run                                         the default series, on the default kernel
    harness run --source tree:. --series git:origin/master..HEAD
    harness boot -- cxl list                            one command in a guest
    harness topology draw switch-4

    Completion: eval "$(_HARNESS_COMPLETE=bash_source harness)"   (zsh_source, fish_source)
    """
    level = (logging.WARNING, logging.INFO if verbose < 1 else logging.DEBUG)[min(verbose, 1)]
    logging.basicConfig(level=level, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Plain("%(message)s"))
    for noisy in ("paramiko", "invoke", "fabric", "asyncio", "filelock", "qemu"):
        logging.getLogger(noisy).setLevel(logging.DEBUG if verbose > 1 else logging.CRITICAL)
    ctx.obj = Session.create(cache=cache_dir, data=data_dir, verbose=verbose, history=history)


def show_error(error: HarnessError) -> None:
    """Print an error in the user's terms on standard error: what, the tool's reason, the log, what to do next."""
    lines = [f"error: {error.message}"]
    lines += [f"  | {line}" for line in error.details]
    if error.command:
        lines.append(f"  command: {quoted(error.command)}")
    if error.log:
        lines.append(f"  log: {error.log}")
    if error.hint:
        lines.append(f"  → {error.hint}")
    click.echo("\n".join(printable(line, limit=_LONGEST_LINE) for line in lines), err=True)


def main() -> NoReturn:
    """Run the command line and exit: 0 all passed, 1 a bad verdict, 2 usage, 3 apply/build/boot, 4 environment."""
    _open_streams()
    _use_utf8()
    threading.excepthook = _thread_failed
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        status = _status()
        sys.stdout.flush()
    except OSError:  # nobody reads what we say, not even the error
        status = _NOT_READ
    except KeyboardInterrupt:
        status = _INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # all is done; what comes now must not change the status
    _forget_unwritten()
    sys.exit(status)


def _status() -> int:
    """The command's exit status; its errors are shown."""
    try:
        _check_folder()
        status = cli.main(standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except HarnessError as error:
        show_error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        return _NOT_READ
    except OSError as reason:
        logging.getLogger(__name__).debug("", exc_info=True)
        show_error(disk_failure(reason, "while running this command"))
    except (MemoryError, RuntimeError, ImportError, SystemError) as reason:
        failure = shortage(reason)
        if failure is None:
            raise
        show_error(failure)
    return EnvironmentFailure.exit_code


def _open_streams() -> None:
    """Have all three standard streams: a file that gets the number of one that is closed would get what we say."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115


def _use_utf8() -> None:
    """What the harness reads and writes is UTF-8, whatever the locale: start again so (python -X utf8, PEP 540).

    On the terminal a character that the locale does not have becomes a question mark.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:replace")
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Too little memory is told by the main thread, which has it as well; anything else is a mistake, and shown."""
    reason = failure.exc_value or failure.exc_type()
    if shortage(reason) is None:
        sys.__excepthook__(failure.exc_type, reason, failure.exc_traceback)


def _check_folder() -> None:
    try:
        Path.cwd()
    except OSError as reason:
        hint = "it was deleted or is closed to you; change to another one"
        raise UserError(f"the working folder cannot be used: {reason.strerror}", hint=hint) from None


def _forget_unwritten() -> None:
    """Output that nobody takes any more is not tried again at the end, where it would change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A termination signal unwinds like Ctrl-C, so that every context manager cleans up."""
    raise KeyboardInterrupt
