"""Targets: one file, one plugin."""
