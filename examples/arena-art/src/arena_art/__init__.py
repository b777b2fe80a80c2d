"""Attacks and defences of the Adversarial Robustness Toolbox (ART) as plugins of arena."""
