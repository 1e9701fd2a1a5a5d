"""Pulling a deployment into a developer's database without what is personal."""
