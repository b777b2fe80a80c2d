"""Plugins written for version 1 of arena's plugin API; never changed."""
