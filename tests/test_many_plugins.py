"""What the benchmark of many plugins checks, with few of them: each is listed, and every fault."""

from __future__ import annotations

import gc
import subprocess
from dataclasses import replace
from pathlib import Path

import many_plugins
import pytest
from many_plugins import wrong_in_json, wrong_in_text
from plugin_crowd import FAULTS, Healthy, write
from sites import Site, attack

from arena.points import uncollected

PLUGINS = [Healthy(number, light=True) for number in range(20)]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twenty distributions that work, and one for every fault."""
    folder = tmp_path_factory.mktemp("crowd").resolve()
    write(folder, PLUGINS)
    return folder


@pytest.fixture(scope="module")
def as_json(crowd: Path) -> subprocess.CompletedProcess[str]:
    return many_plugins.run(crowd, "plugins", "--json")


@pytest.fixture(scope="module")
def as_text(crowd: Path) -> subprocess.CompletedProcess[str]:
    return many_plugins.run(crowd, "plugins")


def test_every_plugin_and_every_fault_is_listed(
    crowd: Path,
    as_json: subprocess.CompletedProcess[str],
    as_text: subprocess.CompletedProcess[str],
) -> None:
    assert len({f.name for f in FAULTS}) == len({f.reason for f in FAULTS}) == 20
    assert not wrong_in_json(as_json, crowd, PLUGINS)
    assert not wrong_in_text(as_text, crowd, PLUGINS)
    for done in (as_json, as_text):
        # What is printed when a plugin is imported is kept, elsewhere.
        assert "a friendly welcome" in done.stderr
        assert "a driver says hello" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_benchmark_sees_what_is_wrong(
    crowd: Path,
    as_json: subprocess.CompletedProcess[str],
    as_text: subprocess.CompletedProcess[str],
) -> None:
    others = [replace(FAULTS[0], reason="no such reason"), *FAULTS[1:]]
    elsewhere = [replace(FAULTS[0], source="1"), *FAULTS[1:]]
    for check, done in ((wrong_in_json, as_json), (wrong_in_text, as_text)):
        assert check(done, crowd, PLUGINS[1:])
        assert check(done, crowd, [*PLUGINS, Healthy(20)])
        assert check(done, crowd, PLUGINS, FAULTS[1:])
        assert check(done, crowd, PLUGINS, others)
        assert check(done, crowd, PLUGINS, elsewhere)
        code = subprocess.CompletedProcess((), 1, done.stdout, done.stderr)
        assert check(code, crowd, PLUGINS)
        noise = subprocess.CompletedProcess((), 0, f"hello\n{done.stdout}", done.stderr)
        assert check(noise, crowd, PLUGINS)


def test_a_class_is_its_authors_who_comes_later_by_name(site: Site) -> None:
    site.add("z-author", a=attack("same"))
    module = next(iter(site.entry_points())).module
    site.add(
        "a-borrower",
        b=f"from arena import hookimpl\nfrom {module} import Same\n"
        "@hookimpl\ndef register_attacks(register): register(Same)\n",
    )
    registry = site.registry()
    assert [p.full_name for p in registry.plugins] == ["z-author/same"]
    assert [b.distribution for b in registry.broken] == ["a-borrower"]


def test_metadata_that_are_not_utf8_do_no_harm(site: Site) -> None:
    site.add("pack", a=attack("one"))
    site.add("odd", b=attack("two"))
    (site.path / "odd-1.0.dist-info" / "METADATA").write_bytes(b"Name: caf\xe9\n")
    assert [p.full_name for p in site.registry().plugins] == ["pack/one", "unknown/two"]


def test_garbage_is_collected_again_after_a_while() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
