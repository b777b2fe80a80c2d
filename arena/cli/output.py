"""Where words go: results to standard output, complaints to the other."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from arena.errors import ArenaError

_ESCAPED = "arena-escaped"


def to_stdout(text: str) -> None:
    """Print to standard output; to nowhere once its reader is gone, as after ``| head``."""
    try:
        click.echo(_encodable(text), nl=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ArenaError(
            f"standard output cannot be written: {error.strerror}; results are stored, "
            "arena board prints them"
        ) from error


def _encodable(text: str) -> str:
    """Escape what standard output's encoding lacks, as JSON would, which most of it is."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, _ESCAPED).decode(encoding)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escaped)


@contextmanager
def kept_for_results() -> Iterator[None]:
    """Send to standard error what plugins, and debuggers, print in this process meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


class Resumable(click.exceptions.Abort):
    """An interruption after which the same command goes on where this one stopped."""


@contextmanager
def resumable() -> Iterator[None]:
    """Make an interruption a `Resumable` one."""
    try:
        yield
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        raise Resumable from error


def complain(sentence: str) -> None:
    """Say to standard error what is wrong."""
    click.echo(f"arena: {sentence}", err=True)
