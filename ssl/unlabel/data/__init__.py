"""Images: fetched, decoded, stored and read back."""
