"""Nothing that a user can write goes without a description: commands, hooks, parameters, names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
import pytest
from griffe import load
from pages import PAGES

import arena
from arena import hookspecs
from arena.cli import cli
from arena.registry import Registered, installed


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")


COMMANDS = dict(commands(cli, "arena"))
REFERENCE = "\n".join(text for page, text in PAGES.items() if page.startswith("docs/reference/"))
GUIDE = "\n".join(text for page, text in PAGES.items() if not page.startswith("docs/reference/"))


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_says_what_it_does_and_a_page_mentions_it(path: str) -> None:
    assert (COMMANDS[path].help or "").strip()
    assert re.search(rf"\b{path}\b", GUIDE)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_has_a_help(path: str) -> None:
    options = [p for p in COMMANDS[path].params if isinstance(p, click.Option)]
    assert [option.opts for option in options if not (option.help or "").strip()] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_argument_is_explained(path: str) -> None:
    command = COMMANDS[path]
    # Usage lists what a choice is of.
    arguments = [
        p
        for p in command.params
        if isinstance(p, click.Argument) and not isinstance(p.type, click.Choice)
    ]
    context = click.Context(command)
    names = [re.findall(r"[A-Z]+", a.make_metavar(context))[0] for a in arguments]
    prose = (command.help or "").partition("Examples:")[0]
    assert [name for name in names if not re.search(rf"\b{name}\b", prose)] == []


@pytest.mark.parametrize("path", [path for path in COMMANDS if path != "arena"])
def test_every_command_has_examples(path: str) -> None:
    assert f"  {path}" in (COMMANDS[path].help or "").partition("Examples:")[2]


HOOKS = [f for f in vars(hookspecs).values() if inspect.isfunction(f) and hasattr(f, "arena_spec")]


def test_there_are_three_hooks() -> None:
    assert [hook.__name__ for hook in HOOKS] == [
        "register_attacks",
        "register_defenses",
        "register_targets",
    ]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_a_hook_and_its_parameters_are_described(hook: object) -> None:
    text = inspect.getdoc(hook) or ""
    assert text.splitlines()[0].strip()
    described = re.findall(r"^    (\w+): \S", text.partition("Args:\n")[2], re.MULTILINE)
    assert callable(hook)
    assert described == list(inspect.signature(hook).parameters)


def test_every_hook_is_in_the_reference() -> None:
    for hook in HOOKS:
        assert f"::: arena.hookspecs.{hook.__name__}\n" in REFERENCE


@pytest.mark.parametrize("plugin", installed().plugins, ids=lambda p: f"{p.kind}-{p.name}")
def test_a_plugin_and_its_parameters_are_described(plugin: Registered) -> None:
    assert plugin.plugin.summary()
    fields = plugin.plugin.model_fields
    assert [name for name, f in fields.items() if not (f.description or "").strip()] == []


PACKAGE = load("arena", resolve_aliases=True)


@pytest.mark.parametrize("name", arena.__all__)
def test_a_public_name_has_a_docstring_and_is_in_the_reference(name: str) -> None:
    docstring = PACKAGE[name].docstring
    assert docstring is not None
    assert docstring.value.strip()
    assert re.search(rf"^::: arena\.{name}$", REFERENCE, re.MULTILINE)
