"""Why a source could not be asked, in words; tested by ``tests/transfer/sources/test_reasons.py``."""

from __future__ import annotations

import re

from ...errors import SourceIncomplete

TIMED_OUT = "timed out"
# What OpenSSL says of bytes that are no TLS: they are HTTP in clear text, as a rule.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG")


def words_of(error: BaseException) -> str:
    """The innermost reason, without addresses of Python objects."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    return str(error) or type(error).__name__


def explain_tls(base: str, error: BaseException) -> SourceIncomplete:
    """Why there is no encrypted connection: the certificate, or what answers there speaks no TLS at all."""
    words = words_of(error)
    if _NO_TLS.search(words):
        return SourceIncomplete(
            f"{base}: what answers there does not speak TLS.",
            hint="Check host and port. A deployment that has no https:// can be given as http:// on this machine, "
            "elsewhere only with --insecure-http",
        )
    return SourceIncomplete(
        f"{base}: the TLS certificate is refused: {words}.",
        hint="Set FERRY_TLS_CA to the file of the CA that signed it.",
    )
