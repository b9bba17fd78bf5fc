"""The training of one method: its loop, log and saved state."""
