"""What the user says about compilation from inside a program: stances, marks on sizes, markers on functions."""
