"""Made-up names, odd texts and password hashes for the data set. Nobody here exists."""

from __future__ import annotations

import json
import random
from typing import Any

ADMIN_UID, ADMIN_PASSWORD = "toby", "password"
TEACHER_UID, TEACHER_PASSWORD = "mira", "123Mira!"
PLAIN_UID, PLAIN_PASSWORD = "niko", "123Niko!"

# Real hashes of the three passwords above, made once: hashing at every start would cost the test suite time.
ADMIN_HASH = "pbkdf2:sha256:50000$D2Hm1Hn1SXaIBWAr$f9bacc8908a984eb6c4b27718c27154608aa662a0a10ed5a9220273d44c00eeb"
TEACHER_HASH = (
    "pbkdf2:sha512:50000$1kjlgXOsZ8pI8nnm$705eb2e3df8193eb80789c473866768669f573a0e35cf6f078c79be35b561720"
    "ea8c12075912f171074811ca51dbf2ea7e8951faea54f02971f7e4cb1edf89b9"
)
PLAIN_HASH = (
    "scrypt:32768:8:1$hApOKrWTDZNlWXLL$af3368b468c593a2f909b44bec0d20ca60587feaeb613432c90b7678de8c69b2"
    "259d37b67072fb0cd62ef294c6a361af14f774f1f4ce85f26e7f3e83374f28a1"
)

HASH_KINDS = (
    ("pbkdf2:sha256:260000", 64),
    ("pbkdf2:sha512:150000", 128),
    ("scrypt:32768:8:1", 128),
    ("pbkdf2:sha256:1000000", 64),
)

EMOJI = "👩‍🚀 launch 🚀 día"
RTL = "שלום עולם — مرحبا"
LONG = "x" * 251 + "/ñ😀"  # 254 characters; a caller adds one of its own

ODD_UIDS = (
    "",
    "Ilse",
    "ilse",
    "ILSE",
    LONG + "1",
    "a b  c",
    " lead and trail ",
    "path/to?uid=1&x=#frag",
    "100%25+plus",
    "🦊🚀",
    "😀",
    "😁",
    "משתמש",
    "مستخدم",
    "quote\"s and 's",
    "back\\slash",
    "<b>bold</b>",
    "null",
    "0",
    "José",
    "tab\tnew\nline",
)
ODD_NAMES = ("", EMOJI, RTL, "N" * 255, "O'Brien; -- x", "  padded  ", "Ĳsbrand Łuczak", "\u202ereversed")
FIRST = ("Ada", "Bram", "Cleo", "Dario", "Elif", "Femke", "Goran", "Hana", "Ivo", "Juno", "Kemal", "Lotte")
LAST = ("Amberwood", "Brookfen", "Copperly", "Dunmarsh", "Elderquay", "Foxhollow", "Glasswick", "Hazelden")
SENTENCES = (
    "The loop ended one step too early.",
    "Why does the second test pass?",
    "I moved the query out of the template.",
    "Thanks, that fixed it.",
    "Naïve café résumé: 日本語のテキスト.",
    RTL,
    EMOJI,
    'Line one\nline two\r\n\ttabbed \\ and "quoted" & <escaped>',
)

# Values an old app put where an object was meant. ``None`` stands for JSON null; SQL NULL is separate.
JSON_ODDITIES: tuple[Any, ...] = (
    42,
    -3.25,
    0,
    "text",
    "",
    "12",
    True,
    False,
    None,
    [],
    {},
    [1, "two", None, {"three": 3.5}],
    {"": "empty key", "ключ": RTL, "😀": EMOJI, "deep": {"a": [{"b": [[]]}]}},
    2**53 + 1,
)


def fake_hash(rng: random.Random, number: int) -> str:
    """Return a hash of the right form for a password nobody knows; the kinds take turns."""
    method, digits = HASH_KINDS[number % len(HASH_KINDS)]
    salt = "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGH23456789", k=16))
    return f"{method}${salt}${rng.getrandbits(digits * 4):0{digits}x}"


def json_text(value: Any) -> str:
    """Return the text SQLAlchemy would store for ``value``; ``None`` becomes JSON null, not SQL NULL."""
    return json.dumps(value)


def odd_json(rng: random.Random, number: int, usual: Any, *, every: int = 4) -> str | None:
    """Return JSON text: ``usual`` mostly, an oddity each ``every``-th time, SQL NULL now and then."""
    if number % every == 1:
        return json_text(JSON_ODDITIES[number // every % len(JSON_ODDITIES)])
    return None if rng.random() < 0.15 else json_text(usual)


def person(rng: random.Random) -> str:
    """Return a made-up name."""
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def text(rng: random.Random, *, sentences: int) -> str:
    """Return between one and ``sentences`` sentences."""
    return " ".join(rng.choices(SENTENCES, k=rng.randint(1, sentences)))
