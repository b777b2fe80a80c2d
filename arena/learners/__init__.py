"""Surrogate learners that attacks refit after every answered query."""
