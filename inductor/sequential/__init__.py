"""Sequential programs: what loops of the user's do, iteration after iteration, as data. See `program`."""
