"""The parts of the check on a GPU, which `gpu.py` puts together."""
