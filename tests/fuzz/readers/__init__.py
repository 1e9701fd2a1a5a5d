"""The readers, by who wrote what they read."""
