"""What a trained encoder makes of images, and what is done with it."""
