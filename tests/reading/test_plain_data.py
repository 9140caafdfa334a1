"""YAML and JSON are read by one strict reader, and what is written is read back as it was."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.errors import ConfigError, DataError
from framecast.reading.plain_data import format_yaml, parse_json, parse_yaml, read_json, read_yaml

BOMB = "i0: &i0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"i{k}: &i{k} [{','.join([f'*i{k - 1}'] * 9)}]\n" for k in range(1, 9))


@pytest.mark.parametrize(
    "text", ["010", "1_0", "0x2", "0o7", "1:30", "yes", "on", "off", "2017-01-01", "<x", "1e", "."]
)
def test_what_is_no_plain_number_or_word_is_text(text: str) -> None:
    assert parse_yaml(f"key: {text}", "recipe") == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e5", 1e5), ("-.5", -0.5), ("+7", 7), ("0", 0), ("true", True), ("~", None), (".inf", float("inf"))],
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert parse_yaml(text, "recipe") == value
    assert type(parse_yaml(text, "recipe")) is type(value)


def test_keys_are_text() -> None:
    assert parse_yaml("{2020: a, null: b, on: c}", "recipe") == {"2020": "a", "null": "b", "on": "c"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("training: {seed: 1}\ntraining: {seed: 2}", "'training' is repeated, line 2"),
        ("{1: a, '1': b}", "'1' is repeated"),
        ("&a [*a]", "refers to what it is part of"),
        (BOMB + "data: {path: {k: *i8}}", "more than 200,000 values"),
        ("[" * 3000, "more than 40 levels"),
        ("!!python/object/apply:os.system [ls]", "tag"),
        ("!!int 010", "tag"),
        ("{[a]: b}", "a key that is no text"),
        ("a\n---\nb", "single document"),
        ("9" * 5000, "digits"),
        ("a: \x00", "special characters"),
    ],
)
def test_what_could_be_misread_is_refused(text: str, reason: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ConfigError, match=reason) as error:
        parse_yaml(text, "recipe")
    assert len(str(error.value)) < 3000
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000, "1" * 5000, "{", ""])
def test_json_is_as_strict(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_json(text, "card")


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | words
    | st.sampled_from(
        ["1e5", "010", "yes", "null", "~", "<<", "0x1", "\udcff", "1.", "2017-01-01", "a: b", "&x", "!y"]
    ),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(words, part, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(words, values, max_size=4))
def test_yaml_is_read_as_it_was_written(content: dict[str, Any]) -> None:
    again = parse_yaml(format_yaml(content), "experiment")
    assert again == content
    assert repr(again) == repr(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff", "not text in UTF-8"), (b"#" * 2**21 + b"##", "more than"), (b"\xef\xbb\xbfa: 1", None)],
)
def test_files_are_small_and_in_utf_8(tmp_path: Path, content: bytes, reason: str | None) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    if reason is None:
        assert read_yaml(tmp_path / "recipe.yaml") == {"a": 1}
        return
    with pytest.raises(DataError, match=reason):
        read_yaml(tmp_path / "recipe.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"card\.json: cannot be read \(No such file"):
        read_json(tmp_path / "card.json")
