"""Defences: one file, one plugin."""
