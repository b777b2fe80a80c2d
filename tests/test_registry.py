"""Plugins are found by entry point; a broken one is named with its reason, the others work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest
from sites import Site, attack

from arena.api import Attack, Defense, Target
from arena.errors import ArenaError
from arena.registry import Registry, build, installed, named

HEAD = "from arena import Attack, Defense, Target, hookimpl\n"
EXTRACT = "    def extract(self, oracle, rng): yield\n"


def source(body: str = "", name: str = '"x"', doc: str = '    """Do it."""\n') -> str:
    """Return a plugin of one attack with something in its class body."""
    return (
        f"{HEAD}class X(Attack):\n{doc}    name = {name}\n{body}{EXTRACT}"
        "@hookimpl\ndef register_attacks(register): register(X)"
    )


def defense(body: str) -> str:
    return (
        f'{HEAD}class X(Defense):\n    """Do it."""\n    name = "x"\n{body}'
        "    def protect(self, victim, rng): return None\n"
        "@hookimpl\ndef register_defenses(register): register(X)\n"
    )


def target(body: str) -> str:
    return (
        f'{HEAD}class X(Target):\n    """Do it."""\n    name = "x"\n{body}'
        "    def train(self, rng): return None\n"
        "@hookimpl\ndef register_targets(register): register(X)\n"
    )


def hook(body: str, name: str = "register_attacks", arguments: str = "register") -> str:
    return f"{HEAD}@hookimpl\ndef {name}({arguments}):\n    {body}\n"


NAME = "is not lower-case words joined by '-', other than 'label'"
BROKEN = {
    "def f(:": "import fails with SyntaxError: ",
    "import nothing_of_the_kind": "import fails with ModuleNotFoundError: No module named",
    "raise SystemExit(3)": "import fails with SystemExit: 3",
    "PLUGIN_API = 2": "it is written for plugin API 2, and this arena's is 1; install a newer "
    "extraction-arena",
    "PLUGIN_API = 0": "it is written for plugin API 0, and this arena takes none older than 1; "
    "install a newer version of it, or an older extraction-arena",
    "PLUGIN_API = '1'": "its PLUGIN_API is '1'; give a whole number, as in PLUGIN_API = 1",
    "x = 1": "it registers nothing; implement one of arena's hooks with @hookimpl",
    "def register_attacks(register): 1 / 0": "it registers nothing; implement one of",
    hook("pass"): "it registers nothing; implement one of",
    hook("pass", name="register_atacks"): "it implements an unknown hook 'register_atacks'; "
    "did you mean 'register_attacks' or",
    hook("pass", arguments="registry"): "its hook register_attacks(registry) has the wrong "
    "signature; take (register)",
    hook("1 / 0"): "its hook raises ZeroDivisionError: division by zero",
    hook("register()"): "its hook raises TypeError: ",
    hook("raise SystemExit"): "its hook raises SystemExit",
    hook("raise BaseException('rust')"): "its hook raises BaseException: rust",
    "raise BaseException('rust')": "import fails with BaseException: rust",
    hook("register(3)"): "it registers 3, which is no subclass of arena.Attack",
    hook("register(dict)"): "it registers dict, which is no subclass of arena.Attack",
    hook("register(Attack)"): "attack Attack: its name ''",
    source().replace("register_attacks", "register_targets"): "it registers X, which is no "
    "subclass of arena.Target",
    source() + "; register(X)\n": "its attack 'x' is registered twice",
    source(name='"Big One"'): f"attack X: its name 'Big One' {NAME}",
    source(name='"x--y"'): f"attack X: its name 'x--y' {NAME}",
    source(name='"label"'): f"attack X: its name 'label' {NAME}",
    source(doc=""): "attack X: it has no docstring, whose first line is its summary",
    source(doc='    """ """\n'): "attack X: it has no docstring",
    source().replace(EXTRACT, ""): "attack X: it does not define extract",
    source("    needs = ({'lable'},)\n"): "attack X: its needs cannot be 'lable'; "
    "did you mean 'label' or",
    source("    needs = {'label'}\n"): "attack X: its needs must be a tuple of sets of answer",
    source("    needs = ()\n"): "attack X: its needs must be a tuple of sets of answer",
    source("    needs = ('label',)\n"): "attack X: its needs must be a set of names, not 'label'",
    source("    families = frozenset({'forrest'})\n"): "attack X: its families cannot be "
    "'forrest'; did you mean 'forest'?",
    source("    families = 'tree'\n"): "attack X: its families must be a set of names, not 'tree'",
    source("    requires_knowledge = {'pools'}\n"): "attack X: its requires_knowledge cannot be "
    "'pools'; did you mean 'pool'?",
    source("    baseline = True\n    size: int\n"): "attack X: it is a baseline, so its parameter "
    "'size' must have a default",
    source("    f: complex = 1j\n    g: object = object()\n"): "attack X: its parameters cannot be "
    "written in a tournament file: ",
    source("    model_config = {'frozen': False}\n"): "attack X: its parameters are not frozen",
    defense(
        "    hides = ['label']\n"
    ): "defence X: its hides must be a set of names, not ['label']",
    defense("    alters = {'labels'}\n"): "defence X: its alters cannot be 'labels'; did you mean",
    defense("    families = {'treee'}\n"): "defence X: its families cannot be 'treee'; did you",
    target(
        "    family = 'treee'\n"
    ): "target X: its family cannot be 'treee'; did you mean 'tree'?",
    target("    can_reveal = {'leafs'}\n"): "target X: its can_reveal cannot be 'leafs';",
    target("    can_reveal = {'value'}\n"): "target X: its reveals cannot be 'label'; known are: "
    "value",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_plugin_is_listed_and_the_others_work(text: str, site: Site) -> None:
    site.add("bad-pack", "2.1", the_entry=text)
    site.add("good-pack", one=attack("one"))
    registry = site.registry()
    assert [p.full_name for p in registry.plugins] == ["good-pack/one"]
    (broken,) = registry.broken
    assert (broken.entry_point, broken.distribution) == ("the-entry", "bad-pack")
    assert broken.version == "2.1"
    assert broken.reason.startswith(BROKEN[text])
    assert len(broken.reason.splitlines()) == 1
    with pytest.raises(ArenaError) as error:
        registry.find("attack", "the-entry")
    assert str(error.value) == (f"attack 'the-entry' of bad-pack 2.1 is broken: {broken.told}")


def test_a_plugin_is_attributed_to_its_distribution(site: Site) -> None:
    site.add("pack-one", "1.2", first=attack("first"), second=attack("second"))
    site.add("pack-two", "3", third=attack("fourth"))
    registry = site.registry()
    assert [(p.kind, p.full_name, p.version) for p in registry.plugins] == [
        ("attack", "pack-one/first", "1.2"),
        ("attack", "pack-two/fourth", "3"),
        ("attack", "pack-one/second", "1.2"),
    ]
    plugin = registry.find("attack", "pack-one/second").plugin()
    assert plugin.identity() == ["pack-one/second", {"size": 3}]


def test_one_module_may_register_several_kinds(site: Site) -> None:
    more = defense("").replace("X", "Y") + target("").replace("X", "Z")
    site.add("pack", all=f"{source()}\n{more}")
    registry = site.registry()
    assert not registry.broken
    assert [p.kind for p in registry.plugins] == ["attack", "defense", "target"]


def test_two_distributions_may_use_one_entry_point_name(site: Site) -> None:
    site.add("pack-one", entry=attack("first"))
    site.add("pack-two", entry=attack("second"))
    assert [p.name for p in site.registry().plugins] == ["first", "second"]


def test_two_distributions_may_use_one_plugin_name(site: Site) -> None:
    site.add("pack-one", a=attack("same"))
    site.add("pack-two", b=attack("same"))
    registry = site.registry()
    assert not registry.broken
    with pytest.raises(ArenaError) as error:
        registry.find("attack", "same")
    assert str(error.value) == (
        "2 attacks are called 'same'; write one in full: 'pack-one/same' and 'pack-two/same'"
    )
    assert registry.find("attack", "pack-two/same").distribution == "pack-two"
    ours, theirs = (
        build(registry, "attack", f"{pack}/same", {}, None) for pack in ("pack-one", "pack-two")
    )
    assert ours.identity() != theirs.identity()
    assert len(registry.called("same")) == 2


def test_a_name_is_used_once_in_a_distribution(site: Site) -> None:
    site.add("pack", a=attack("same"), b=attack("same"), c=attack("other"))
    registry = site.registry()
    assert [p.name for p in registry.plugins] == ["other", "same"]
    assert [(b.entry_point, b.reason) for b in registry.broken] == [
        ("b", "its attack 'same' is registered twice")
    ]


def test_a_class_belongs_to_one_distribution(site: Site) -> None:
    site.add("pack-one", a=attack("same"))
    module = next(iter(site.entry_points())).module
    thief = f"{HEAD}from {module} import Same\n@hookimpl\ndef register_attacks(register):\n"
    site.add("pack-two", b=f"{thief}    register(Same)\n")
    registry = site.registry()
    assert registry.find("attack", "same").plugin().identity()[0] == "pack-one/same"
    assert [b.reason for b in registry.broken] == [
        "its attack 'same' is that of pack-one; subclass it and rename it"
    ]


def test_what_a_plugin_prints_does_not_reach_standard_output(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add(
        "pack",
        a="print('hello')\n" + attack("one").replace("    register", "    print('there');register"),
    )
    assert not site.registry().broken
    assert capsys.readouterr() == ("", "hello\nthere\n")


def test_metadata_without_a_name_or_version_do_no_harm(site: Site) -> None:
    site.add("pack", a=attack("one"))
    site.add("odd", b=attack("two"))
    (site.path / "odd-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n")
    assert [p.full_name for p in site.registry().plugins] == ["pack/one", "unknown/two"]
    assert site.registry().plugins[1].version == "?"


def test_two_hundred_plugins_load_quickly(site: Site) -> None:
    for i in range(20):
        site.add(f"pack{i}", **{f"a{j}": attack(f"p{i}-{j}") for j in range(10)})
    points = site.entry_points()
    started = time.perf_counter()
    registry = site.registry()
    seconds = time.perf_counter() - started
    assert len(points) == len(registry.plugins) == 200
    assert seconds < 4  # half a second on an idle core: pydantic builds 200 models


def test_unknown_names_say_what_comes_close(site: Site) -> None:
    site.add("pack", a=attack("good-one"), t=target(""))
    registry = site.registry()
    for call, sentence in (
        (("attack", "good-on"), "unknown attack 'good-on'; did you mean 'good-one'?"),
        (("attack", "zzz"), "unknown attack 'zzz'; known are: good-one"),
        (("attack", "x"), "'x' is not an attack, it is a target"),
        (("target", "good-one"), "'good-one' is not a target, it is an attack"),
        (("defense", "zzz"), "unknown defence 'zzz'; known are: none"),
    ):
        with pytest.raises(ArenaError) as error:
            registry.find(*call)  # type: ignore[arg-type]
        assert str(error.value) == sentence
    with pytest.raises(ArenaError, match=r"^unknown plugin 'good-on'; did you mean 'good-one'\?$"):
        registry.called("good-on")


def test_names_and_parameters_are_split() -> None:
    assert named("a") == ("a", {})
    assert named({"a": None}) == ("a", {})
    assert named({"a": {"b": 1}}) == ("a", {"b": 1})
    mistakes: tuple[Any, ...] = (3, None, {}, {"a": {}, "b": {}}, ["a"], {"a": 3})
    for wrong in mistakes:
        with pytest.raises(ValueError, match=r"write a plugin as|must be a mapping"):
            named(wrong)


def test_the_built_in_plugins_are_all_well() -> None:
    registry = installed()
    assert not [b for b in registry.broken if b.distribution == "extraction-arena"]
    for kind, base in (("attack", Attack), ("defense", Defense), ("target", Target)):
        found = registry.of_kind(kind)  # type: ignore[arg-type]
        assert found
        assert all(issubclass(p.plugin, base) for p in found)
    baselines = {p.name for p in registry.baselines() if p.distribution == "extraction-arena"}
    assert baselines == {"random", "constant", "public-data"}
    assert registry is installed()


def test_an_empty_registry_finds_nothing() -> None:
    with pytest.raises(ArenaError, match=r"^unknown attack 'a'; known are: none$"):
        Registry(()).find("attack", "a")


@pytest.mark.parametrize(
    "method",
    [
        "def title(self): return 1 / 0",
        "def identity(self): return 1 / 0",
        "def identity(self): return [{1, 2}]",
        "requirements = property(lambda self: 1 / 0)",
    ],
)
def test_a_plugin_whose_own_code_fails_is_blamed(method: str, site: Site) -> None:
    site.add("bad-pack", the_entry=source(f"    {method}\n"))
    with pytest.raises(ArenaError, match="attack 'x' of bad-pack fails to take its parameters"):
        build(site.registry(), "attack", "x", {}, None)


def test_sets_are_written_in_one_order() -> None:
    code = (
        "import enum\nfrom arena import Attack\n"
        "class C(enum.Enum):\n    a = 'a'\n    b = 'b'\n    c = 'c'\n"
        "class X(Attack):\n    name = 'x'\n    tags: frozenset[str]\n    kinds: frozenset[C]\n"
        "x = X(tags=frozenset('edcba'), kinds=frozenset(C))\n"
        "print(x.title(), x.identity())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "012"
    }
    assert told == {
        "x(tags=a+b+c+d+e, kinds=C.a+C.b+C.c) "
        "['unregistered/x', {'tags': ['a', 'b', 'c', 'd', 'e'], 'kinds': ['a', 'b', 'c']}]\n"
    }
