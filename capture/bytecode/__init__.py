"""Python's bytecode as data: read, normalised, cut at graph breaks and assembled again."""
