"""torch's functions by name, a module per family."""
