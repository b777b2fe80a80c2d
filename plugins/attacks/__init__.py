"""Attacks: one file, one plugin."""
