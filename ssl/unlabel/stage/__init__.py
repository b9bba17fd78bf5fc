"""The stages of the workflow. Each module has a function `run` from files to files.

Its docstring is also the help of the command: `Args:` has a line for each flag.
"""
