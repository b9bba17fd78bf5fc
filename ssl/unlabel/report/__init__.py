"""What people read of a study: its runs' results as tables, charts and a page."""
