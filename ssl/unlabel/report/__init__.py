"""Pages, charts and tables of a study's results."""
