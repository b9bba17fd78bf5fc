"""What `params/` says: recipes, settings, studies and claims, read and checked."""
