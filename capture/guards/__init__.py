"""What an entry assumes of its arguments and of the world, and where that is looked up."""
