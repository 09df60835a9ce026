"""The command `outrider`: profile, calibrate, check, watch, export, inspect, compare, report, demo."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..monitor import OutriderWarning
from .commands import calibrate, check, compare, demo, export, inspect, profile, report, watch
from .config import config_arguments

ERROR, INTERRUPTED = 2, 130
_COMMANDS = (profile, calibrate, check, watch, export, inspect, compare, report, demo)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status: 0 clean, 1 alarms, 2 error, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    try:
        options = _parse(argv)
        debug = options.debug
        with warnings.catch_warnings():
            warnings.simplefilter("always", OutriderWarning)
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            return int(options.run(options))
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        _complain("interrupted" + "".join(f"; {argument}" for argument in stop.args))
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, and with it the answer
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:  # noqa: BLE001 (whatever went wrong, the exit status must not read as "alarms")
        if debug:
            traceback.print_exc()
        _complain(f"error: {_sentence(error)}")
        return ERROR


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="outrider", description="A runtime monitor for perception networks.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {}
    for module in _COMMANDS:
        name = module.__name__.rpartition(".")[2]
        summary = str(module.__doc__)
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        module.add_arguments(command)
        command.add_argument("--config", type=Path, metavar="FILE", help="YAML file of flags; those given here win")
        command.add_argument("--quiet", action="store_true", help="no progress bars, no live view")
        command.add_argument("--debug", action="store_true", help="show where an error came from")
        command.set_defaults(run=module.run)
        parsers[name] = command
    before = _Parser(prog="outrider", add_help=False, allow_abbrev=False)
    before.add_argument("--config", type=Path)
    config = before.parse_known_args(argv)[0].config
    if config and argv[0] in parsers:
        options = parsers[argv[0]]._actions  # noqa: SLF001 (argparse has no public list of them)
        argv = [argv[0], *config_arguments(config, options, argv), *argv[1:]]
    return parser.parse_args(argv)


def _show_warning(message: Warning | str, category: type[Warning], *_where: object) -> None:
    if issubclass(category, OutriderWarning):
        _complain(f"warning: {message}")


def _complain(text: str) -> None:
    sys.stderr.write(f"outrider: {' '.join(text.split())}\n")


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be read').lower()}"
    if isinstance(error, ValueError | TypeError | ImportError | OSError | RuntimeError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
