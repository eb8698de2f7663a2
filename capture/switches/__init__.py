"""What the user says about compilation from inside a program: stances, marked dims of arrays, flags on functions."""
