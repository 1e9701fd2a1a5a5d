"""Replacements: equal values become equal ones, and nothing can be read back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Misconfigured
from app.transfer import profiles
from app.transfer.profiles import (
    Keyed,
    Profile,
    Replacement,
    constant,
    document,
    email,
    keep,
    name,
    text,
    uid,
    without_query,
)

KEYED = Keyed(b"k" * 32)


DISTINCT = [uid(), uid(characters=10), email(), name(distinct=True), keep()]


ALL = [*DISTINCT, name(), text(), keep(matching="[a-z]+"), without_query()]


TEXTS = st.text(min_size=1, max_size=60)


@given(st.sampled_from(ALL), TEXTS)
def test_equal_values_become_equal_and_keep_their_room(rule: Replacement, value: str) -> None:
    made = rule.text(value, KEYED)
    assert made == rule.text(value, Keyed(b"k" * 32))
    assert len(made) <= (len(value) if rule.width is None else rule.width)


@given(st.sampled_from(DISTINCT), st.sets(TEXTS, min_size=2, max_size=20))
def test_unequal_values_stay_unequal(rule: Replacement, values: set[str]) -> None:
    made = {rule.text(value, KEYED).casefold() if rule != keep() else value for value in values}
    assert len(made) == len(values)


def test_many_do_not_clash() -> None:
    assert len({uid().text(str(number), KEYED) for number in range(20_000)}) == 20_000


@given(st.sampled_from([uid(), email(), name(), text()]), TEXTS)
def test_another_key_or_domain_gives_other_values(rule: Replacement, value: str) -> None:
    if len(value) >= 20 or not isinstance(rule, profiles.Text):
        others = {rule.text(value, Keyed(bytes([number]) * 32)) for number in range(8)}
        assert len(others) > 1
        own = uid("a").text(value, KEYED)
        assert own != uid("b").text(value, KEYED)


@given(TEXTS)
def test_a_text_is_as_long_as_it_was(value: str) -> None:
    assert len(text().text(value, KEYED)) == len(value)


def test_too_few_characters_are_refused() -> None:
    with pytest.raises(Misconfigured, match="9 characters"):
        uid(characters=9)


def test_the_key_is_in_no_representation() -> None:
    assert "kkk" not in repr(KEYED)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(JSON)
def test_nothing_of_a_document_is_left_that_nobody_named(value: Any) -> None:
    assert not isinstance(value, list | dict) or set(leaves(document().inside(value, KEYED))) <= {None}


@given(JSON)
def test_a_document_keeps_its_shape_with_a_rest(value: Any) -> None:
    made = document(rest=text()).inside(value, KEYED)
    assert shape(made) == shape(value)
    assert document(rest=text()).inside(value, KEYED) == made


def leaves(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if items is None else [leaf for item in items for leaf in leaves(item)]


def shape(value: Any) -> Any:
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case list():
            return [shape(item) for item in value]
        case str():
            return len(value)
        case bool() | None:
            return value
    return 0


def test_paths_of_a_document() -> None:
    rule = document(
        {"owner.uid": uid("uid"), "owner.role": keep(), "marks.*": keep(), "marks.secret": constant("x"), "by": email()}
    )
    said = {
        "owner": {"uid": "ada", "role": "admin", "phone": 5551234},
        "marks": {"a": [1, 2], "secret": "pin"},
        "by": ["a@b.c", {"deep": "d@e.f"}, None],
        "else": "gone",
    }
    made = rule.inside(said, KEYED)
    assert made == {
        "owner": {"uid": uid("uid").text("ada", KEYED), "role": "admin"},
        "marks": {"a": [1, 2], "secret": "x"},
        "by": [email().text("a@b.c", KEYED), {"deep": email().text("d@e.f", KEYED)}, None],
    }
    assert document({"s": keep(matching="")}).inside({"s": [1, 2.5, "", None, {"a": True}]}, KEYED) == {
        "s": [1, 2.5, "", None, {"a": True}]
    }
    assert document({"s": keep(matching="")}).inside({"s": "secret"}, KEYED) != {"s": "secret"}
    many = document({"people.uid": uid("uid")})
    assert many.inside({"people": [{"uid": "ada"}, {"uid": "bea", "x": 1}]}, KEYED) == {
        "people": [{"uid": uid("uid").text("ada", KEYED)}, {"uid": uid("uid").text("bea", KEYED)}]
    }


def test_a_profile_is_told_by_what_it_declares() -> None:
    def digest(rule: Replacement) -> str:
        return Profile({"r1": {"t": {"a": rule, "b": keep()}}}).digest()

    assert digest(uid()) == digest(uid())
    assert digest(document({"a": keep(), "b": uid()})) == digest(document({"b": uid(), "a": keep()}))
    rules = [uid(), uid("x"), email(), text(), keep(), keep(matching="x"), document(), document({"a": keep()})]
    assert len({digest(rule) for rule in rules}) == len(rules)
