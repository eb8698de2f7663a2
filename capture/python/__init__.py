"""Python's own functions and standard library, as the machine knows them."""
