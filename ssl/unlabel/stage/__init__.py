"""The stages of the workflow: each module is a function `run` from files to files."""
