"""The command `outrider`, with a file for each of its commands in `commands/`.

The arguments are read before any room is imported: that takes long where numba has yet to compile the kernels.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import NoReturn

from .config import OF_CAMERAS, config_arguments
from .options import COMMANDS, leaves
from .wording import in_flags

ERROR, INTERRUPTED = 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status: 0 clean, 1 alarms, 2 error, 130 interrupted, 143 terminated."""
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    actions: list[argparse.Action] = []
    try:
        options = _parse(argv)
        debug, actions = options.debug, options.actions
        return _run(options)
    except SystemExit as stop:  # --help and --version
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
        _complain(f"error: {in_flags(_sentence(error), actions)}")
        return ERROR


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="outrider", description="A runtime monitor for perception networks.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"outrider {metadata.version('outrider')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    actions: dict[tuple[str, ...], list[argparse.Action]] = {}
    for add_arguments in COMMANDS:
        name, summary = add_arguments.__name__, str(add_arguments.__doc__)
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        add_arguments(command)
        for words, leaf in leaves(command, name):
            leaf.add_argument("--config", type=Path, metavar="FILE", help="YAML file of flags; those given here win")
            leaf.add_argument("--quiet", action="store_true", help="no progress bars, no live view")
            leaf.add_argument("--debug", action="store_true", help="show where an error came from")
            actions[words] = leaf._actions  # noqa: SLF001 (argparse has no public list of them)
            leaf.set_defaults(actions=actions[words])
    before = _Parser(prog="outrider", add_help=False, allow_abbrev=False)
    before.add_argument("--config", type=Path)
    config = before.parse_known_args(argv)[0].config
    said: tuple[str, ...] = next((words for words in actions if words == tuple(argv[: len(words)])), ())
    if config and said:
        argv = [*said, *config_arguments(config, actions[said], argv), *argv[len(said) :]]
    options = parser.parse_args(argv)
    settings_in = getattr(options, "settings_in", None)
    path = settings_in(options) if settings_in else None
    if path is None:
        return options
    flags = config_arguments(path, actions[said], argv, OF_CAMERAS)
    return parser.parse_args([*said, *flags, *argv[len(said) :]])


def _run(options: argparse.Namespace) -> int:
    """The exit status of a command, whose file and the rooms it needs are imported here."""
    if options.command == "compile":  # in processes of its own: here the rooms would be compiled on import
        return int(import_module(".commands.compile", __package__).run(options))
    from .compile_notice import telling_of_compilation

    with telling_of_compilation(_complain, quiet=options.quiet):
        from ...monitor import OutriderWarning
        from ...networks import NetworkWarning

        name = "grouped" if hasattr(options, "action") else options.command
        command = import_module(f".{getattr(options, 'room', 'commands')}.{name}", __package__)

    def show(message: Warning | str, category: type[Warning], *_where: object) -> None:
        if issubclass(category, (OutriderWarning, NetworkWarning)):
            _complain(f"warning: {in_flags(str(message), options.actions)}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", OutriderWarning)
        warnings.simplefilter("always", NetworkWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        return int(command.run(options))


def _complain(text: str) -> None:
    from ..printable import printable, without_credentials

    sys.stderr.write(f"outrider: {printable(' '.join(without_credentials(text).split()))}\n")


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be read').lower()}"
    if isinstance(error, ValueError | TypeError | ImportError | OSError | RuntimeError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
