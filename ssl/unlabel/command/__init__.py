"""What people type, beside the stages. Each module has a function `run`.

Its docstring is also the help of the command: `Args:` has a line for each flag.
"""
