"""The session lock of a target."""

from __future__ import annotations

import socket

import pytest

from app.errors import LockHeld
from tests.dialects.rooms import Room


def test_who_holds_the_lock_is_named(room: Room) -> None:
    with room.dialect.lock(room.target, 0), pytest.raises(LockHeld) as caught, room.dialect.lock(room.target, 0):
        pytest.fail("two holders")
    assert f"ferry lock {socket.gethostname()}" in caught.value.message
    assert "user app" in caught.value.message
