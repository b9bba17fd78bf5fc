"""Layers, losses and other parts of networks that methods share."""
