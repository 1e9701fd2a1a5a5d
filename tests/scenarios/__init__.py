"""Whole commands, as somebody types them."""
