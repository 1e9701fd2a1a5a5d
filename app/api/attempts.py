"""How many passwords may be tried: per account, per address, and per device that has logged in before.

An attempt is counted before the password is checked, and taken back when it was right, so that a hundred requests at
once try no more passwords than a hundred one after the other. What is counted:

- **account and address**: somebody who guesses from one address is stopped first, and locks out nobody elsewhere;
- **account, from all addresses together**: a guesser with a thousand addresses gets no more than this;
- **address, for all accounts together**: somebody who tries one password on every account. A larger number, since a
  whole school may share an address;
- **known device**, in place of all of these: whoever logged in has a cookie that says so, and is counted alone.

The second would let a guesser lock the owner out for as long as he likes. So devices that logged in before are not
counted with strangers: while somebody guesses, the owner still logs in from where he did before, and from a new device
as soon as a window of the limit begins anew. This is OWASP's "Slow Down Online Guessing Attacks with Device Cookies".
The cookie opens nothing: it is no token, and a changed password makes it worthless.

An account that does not exist is counted as one that does, and all spellings of a uid share a count, whether or not
the server takes them for equal: otherwise the count itself would tell which spelling exists.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import Response, request
from itsdangerous import BadData, TimestampSigner
from limits import RateLimitItem, parse_many

from ..extensions import limiter
from .auth import refuse, set_cookie, signing_key

DEVICE = "known_device"
DEVICE_LIFETIME = timedelta(days=180)

PER_ACCOUNT_AND_ADDRESS = parse_many("10 per minute; 100 per hour")
PER_ACCOUNT = parse_many("30 per minute; 200 per hour")
PER_ADDRESS = parse_many("60 per minute; 600 per hour")
PER_DEVICE = parse_many("10 per minute; 100 per hour")

# Counters in memory lose a count when two threads begin the same window.
_LOCK = threading.Lock()
_NETWORK_BITS_V6 = 64


@dataclass(frozen=True)
class Account:
    """What the database has under a uid, however that was spelled; hashes of accounts that do not exist are empty."""

    uid: str
    password: str = ""


class Attempt:
    """One attempt to log in, counted when it is made.

    :param account: the account found, or one with the uid as it was sent.
    :raises HTTPException: 429: too many failed, with ``Retry-After``.
    """

    def __init__(self, account: Account) -> None:
        self._device = _has_device(account)
        counters = _counters(account, self._device) if limiter.enabled else []
        self._counted = [(limit, key) for limits, key in counters for limit in limits]
        _count(self._counted)

    def succeed(self, account: Account, answer: Response) -> None:
        """Take the count back and let the answer say that this device is known."""
        with _LOCK:
            _take_back(self._counted)
        nonce = self._device or secrets.token_urlsafe(16)
        cookie = _signer(account).sign(nonce).decode()
        set_cookie(answer, DEVICE, cookie, DEVICE_LIFETIME, path=request.path)


def spelling(uid: str) -> str:
    """What all spellings of a uid have in common under any collation that servers are usually given.

    Case, accents, widths and ligatures are folded, characters without a width dropped, blanks at the ends as well.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", uid).casefold())
    kept = (character for character in folded if unicodedata.category(character) not in ("Mn", "Me", "Cc", "Cf"))
    return "".join(kept).strip()


def network(address: str | None) -> str:
    """The address that guesses are counted by: of IPv6 the network, as one customer has all addresses in it."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK_BITS_V6), strict=False))


def _counters(account: Account, device: str | None) -> list[tuple[Sequence[RateLimitItem], str]]:
    if device:
        return [(PER_DEVICE, f"device {device}")]
    address = network(request.remote_addr)
    name = hashlib.sha256(spelling(account.uid).encode(errors="surrogatepass")).hexdigest()
    return [
        (PER_ACCOUNT_AND_ADDRESS, f"account {name} {address}"),
        (PER_ACCOUNT, f"account {name}"),
        (PER_ADDRESS, f"address {address}"),
    ]


def _count(counters: Sequence[tuple[RateLimitItem, str]]) -> None:
    with _LOCK:
        for number, (limit, key) in enumerate(counters, start=1):
            if not limiter.limiter.hit(limit, "log-in", key):
                again = limiter.limiter.get_window_stats(limit, "log-in", key).reset_time
                _take_back(counters[:number])
                break
        else:
            return
    wait_s = max(1, int(again - time.time()) + 1)
    refuse(429, f"Too many failed attempts to log in. Try again in {wait_s} seconds.", {"Retry-After": str(wait_s)})


def _take_back(counters: Sequence[tuple[RateLimitItem, str]]) -> None:
    for limit, key in counters:
        limiter.limiter.hit(limit, "log-in", key, cost=-1)


def _has_device(account: Account) -> str | None:
    try:
        nonce = _signer(account).unsign(request.cookies.get(DEVICE, ""), int(DEVICE_LIFETIME.total_seconds()))
    except BadData:
        return None
    return nonce.decode()


def _signer(account: Account) -> TimestampSigner:
    """Signs for one account and its password: any other account's cookie, or an older one, has a wrong signature."""
    salt = f"known device\0{account.uid}\0{account.password}".encode(errors="surrogatepass")
    return TimestampSigner(signing_key(), salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
