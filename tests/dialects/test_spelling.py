"""SQL free of its spelling: what two servers, or two people, spell otherwise is the same; what says more is not."""

from __future__ import annotations

import pytest

from app.dialects.spelling import normalise, read_tokens, rename


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('SELECT "Name" FROM `T`', "select [name]  from t -- all\n"),
        ("a /* and */ >= 1;", "A>=1"),
        ('"a""b"', '[a"b]'),
        ("`a``b`", '"a`b"'),
        ("x::text||y", "X :: TEXT || Y"),
    ],
)
def test_the_same_in_another_spelling(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'A'", "x = 'a'"),
        ("x = 'a--b'", "x = 'a'"),
        ("x = 'it''s'", "x = 'its'"),
        ("x = N'a'", "x = 'a'"),
        ("a < = 1", "a <= 1"),
        ("a b", "ab"),
    ],
)
def test_what_says_something_else(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_a_text_is_no_word_and_a_quoted_word_is_told_from_a_bare_one() -> None:
    assert [tuple(token) for token in read_tokens("CHECK (\"A b\" <> 'B''c')")] == [
        ("word", "check"),
        ("other", "("),
        ("quoted", "a b"),
        ("other", "<>"),
        ("text", "'B''c'"),
        ("other", ")"),
    ]


def test_words_get_other_names_and_texts_stay() -> None:
    assert rename("price > 0 and unit = 'price'", {"price": "cost"}) == "cost > 0 and unit = 'price'"
    assert rename("prices > 0", {"price": "cost"}) == "prices > 0"
    assert rename("a b", {"a": "b", "b": "a"}) == "b a"
    assert rename("a  b", {}) == "a  b"
