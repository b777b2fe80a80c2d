"""Attacks in processes of their own, closed off from everything but the wire to their referee."""
