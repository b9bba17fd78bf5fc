"""Which self-supervised method gives the best representation of your images?"""
