"""Whole migrations between all servers: real processes, private servers, compared value by value."""
