"""How the words lie that a program is given, between who packs them and the code that reads them."""

#: The words are of eight bytes, all zero at first: the heap, three words; what the program answers (0: it returned; 1: it bailed); the
#: floating-point errors that were noted. Then come the numbers; then, for each array, its address, sizes and strides; then the results.
WORDS = ("heap", "heap", "heap", "answer", "errors")
