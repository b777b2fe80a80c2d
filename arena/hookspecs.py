"""The whole extension surface: three hooks.

A plugin module implements the ones it needs with ``@arena.hookimpl`` and is named by an entry point
of the group ``arena``.
"""

from __future__ import annotations

from collections.abc import Callable

from pluggy import HookimplMarker, HookspecMarker

from arena.api import Attack, Defense, Target

hookspec = HookspecMarker("arena")
hookimpl = HookimplMarker("arena")
"""Marks a function as the implementation of the hook of its name."""


@hookspec
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Call ``register`` with each attack class.

    Args:
        register: takes a subclass of ``arena.Attack`` that defines ``extract``; may be called for
            several, each with a name of its own.
    """


@hookspec
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Call ``register`` with each defence class.

    Args:
        register: takes a subclass of ``arena.Defense`` that defines ``protect``; may be called for
            several, each with a name of its own.
    """


@hookspec
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Call ``register`` with each target class.

    Args:
        register: takes a subclass of ``arena.Target`` that defines ``train``; may be called for
            several, each with a name of its own.
    """
