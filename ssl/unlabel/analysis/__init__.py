"""What finished runs say together: estimates, tables and verdicts."""
