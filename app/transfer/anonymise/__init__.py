"""An app's profile at work, and the source that it wraps. Tested by ``tests/transfer/anonymise``."""
