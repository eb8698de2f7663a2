"""The symbolic machine: it evaluates normalised bytecode over Values and records what it relied on."""
