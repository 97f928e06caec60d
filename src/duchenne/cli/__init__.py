"""The command line: one module for each group of commands, and one way out of all of them.

The modules here stay light, so that `duchenne --help` answers at once: what is heavy is imported
inside the commands. To add a command, write it in a module of this package under `@recorded`
(see `run`) and name it in `COMMANDS`.
"""

from __future__ import annotations

import errno
import logging
import signal
import sys
from typing import Any, NoReturn

import click

from .. import cores
from ..errors import MOST_MESSAGE, NEEDS_TORCH, DuchenneError, InputError, OutputError, cut, quoted
from ..programs import conversion
from . import (
    animation,
    checking,
    completion,
    curves,
    demo,
    doctoring,
    faces,
    fitting,
    fitting_covering,
    fitting_encoder,
    fitting_eyes,
    gains,
    generators,
    judging,
    many,
    numbering,
    programs,
    samples,
    scoring,
    serve,
    signing,
    streams,
    study,
    weights,
)
from .run import Run

COMMANDS: tuple[click.Command, ...] = (
    animation.animate,
    animation.edit,
    curves.curves,
    checking.check,
    numbering.faces,
    faces.encode,
    samples.sample,
    scoring.score,
    fitting.fit,
    judging.evaluate,
    many.stimuli,
    many.batch,
    study.study,
    judging.experiments,
    serve.serve,
    signing.sign,
    demo.demo,
    generators.generator,
    weights.weights,
    programs.programs,
    doctoring.doctor,
)
INTERRUPTED = 130  # 128 + SIGINT, as shells count
TERMINATED = 143  # 128 + SIGTERM


class OneLineErrors(click.Command):
    """Turns user errors and an interrupt into one line and an exit code; bugs propagate."""

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*args, **named)
        except click.UsageError as error:
            raise _wrong_usage(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _wrong_usage(error) from error
        except DuchenneError as error:
            raise _failure(f"error: {error}", error.exit_code) from error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            reason = f"{quoted(error.filename)}: a name or path that is too long"
            raise _failure(f"error: {reason}", InputError.exit_code) from error
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise _failure(f"error: {NEEDS_TORCH}", InputError.exit_code) from error
        except KeyboardInterrupt as error:
            done = ctx.obj.appeared() if isinstance(ctx.obj, Run) else []
            what = f"complete are {', '.join(done)}" if done else "nothing was written"
            raise _failure(f"interrupted; {what}", INTERRUPTED) from error


class Commands(OneLineErrors, click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # the main ones first, not by the alphabet


def _wrong_usage(error: click.UsageError) -> Exception:
    """One line that quotes little, and where to read more; without arguments the help itself."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    path = error.ctx.command_path if error.ctx is not None else "duchenne"
    end = f"; `{path} --help` says more"
    said = cut(" ".join(error.format_message().split()), MOST_MESSAGE - len(end)).rstrip(".")
    return _failure(f"error: {quoted(said, MOST_MESSAGE, bare=True)}{end}", error.exit_code)


def _failure(message: str, exit_code: int) -> click.exceptions.Exit:
    click.echo(f"duchenne: {' '.join(message.splitlines())}", err=True)
    return click.exceptions.Exit(exit_code)


@click.group(
    "duchenne",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="duchenne", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", count=True, help="Say more of what is going on; twice: all.")
def commands(verbose: int) -> None:
    """Animate a face photo by FACS Action Units.

    The photo is encoded into the latent space of a pretrained StyleGAN, Action Unit boundaries are
    added to its code, and the frames between are rendered. Results are synthetic and marked so.

    \b
    Examples:
      duchenne animate photo.jpg --expression happiness -o smile.mp4
      duchenne edit photo.jpg --au AU12=0.8,AU6=0.5 -o smile.png

    Exit codes: 0 done, 2 wrong usage, 3 unusable input, 4 no face found, 5 wrong Action Units, 6
    unwritable output, 7 model files missing or damaged, 8 codes of another generator, 130
    interrupted.
    """
    _log_to_stderr(verbose)


fitting.fit.add_command(gains.photos_gains)
fitting.fit.add_command(fitting_covering.fit_covering)
fitting.fit.add_command(fitting_eyes.fit_eyes)
fitting.fit.add_command(fitting_encoder.fit_encoder)
for _command in COMMANDS:
    commands.add_command(_command)


def main(command: click.Command = commands, name: str = "duchenne") -> NoReturn:
    """Entry point of the program, and of `python -m experiments`."""
    streams.make_lasting()
    cores.hold_libraries()
    cores.share_memory()
    conversion.leave_out()
    signal.signal(signal.SIGTERM, _terminate)
    logging.captureWarnings(True)  # other libraries' warnings: shown with --verbose
    _log_to_stderr(0)
    completion.offer_values(command)
    try:
        command(prog_name=name)
    except SystemExit as end:
        if not end.code:
            _check_said()
        raise
    raise AssertionError("click ends the process")


def _check_said() -> None:
    """End with an error if help or the version could not be printed; commands ask by themselves."""
    error = streams.take_failure()
    if error is not None and error.errno != errno.EPIPE:
        reason = f"standard output: could not be written ({error.strerror or error})"
        sys.exit(_failure(f"error: {reason}", OutputError.exit_code).exit_code)


def _terminate(number: int, frame: object) -> NoReturn:
    """Leave as after an error, so that temporary files are removed on the way."""
    sys.exit(TERMINATED)


class _Stderr(logging.Handler):
    """Log records as lines of this program, on the standard error of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning: " if record.levelno >= logging.WARNING else ""
        text = " ".join(record.getMessage().split())
        click.echo(f"duchenne: {kind}{text}", err=True)


def _log_to_stderr(verbose: int) -> None:
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    level = levels[min(verbose, len(levels) - 1)]
    handler = _Stderr()
    logger = logging.getLogger("duchenne")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    # A download is said always: it takes long and uses the network.
    logging.getLogger("duchenne.weights.store").setLevel(min(level, logging.INFO))
    if verbose:
        logging.getLogger("py.warnings").handlers[:] = [handler]
