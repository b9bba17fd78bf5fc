"""Reads and checks `params/`: recipes, settings, studies and claims."""
