"""Packages that bring plugins, installed and uninstalled."""

from __future__ import annotations

import click

from arena.cli.output import to_stdout


@click.command()
@click.argument("packages", nargs=-1, metavar="[PACKAGE]... [-- PIP-OPTION...]")
@click.option(
    "-e",
    "--editable",
    multiple=True,
    metavar="PATH",
    help="A folder, used where it is; repeatable.",
)
@click.option("-U", "--upgrade", is_flag=True, help="Install the newest version.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def install(
    packages: tuple[str, ...], editable: tuple[str, ...], upgrade: bool, as_json: bool
) -> int:
    """Install packages with pip, and list what plugins they bring.

    PACKAGE is what pip takes: a name, perhaps with a version, a folder, a file, a URL. All that
    follows -- goes to pip as it is. What pip prints goes to standard error. The exit code is 1 when
    a plugin is broken that was just installed, or has become so.

    Examples:

    \b
      arena install arena-probe
      arena install -e ./arena-probe
      arena install --upgrade arena-probe other-pack==2.1
      arena install -- --requirement requirements.txt
    """
    from arena.packages import install as installed

    options = [*(["--upgrade"] if upgrade else []), *(f"--editable={path}" for path in editable)]
    if not packages and not editable:
        raise click.UsageError("name a package, a folder with -e, or an option of pip after --")
    report = installed([*options, *packages])
    to_stdout(report.as_json() if as_json else report.text())
    return 1 if report.broken else 0


@click.command()
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE... [-- PIP-OPTION...]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def uninstall(packages: tuple[str, ...], as_json: bool) -> int:
    """Uninstall packages that bring plugins, with pip.

    PACKAGE is a distribution, as the last column of arena plugins names it; arena itself is none
    of them. What pip prints goes to standard error.

    Examples:

    \b
      arena uninstall arena-probe
    """
    from arena.packages import uninstall as uninstalled

    report = uninstalled(packages)
    to_stdout(report.as_json() if as_json else report.text())
    return 0
