"""Loops that stay loops: a Python loop over NumPy's numbers and arrays becomes one node of the graph, a sequential program.

`entry.roll` is asked where a loop begins. The loop's bytecode is evaluated abstractly (`tracer`): its variables are numbers and arrays of which
kind, axes and known sizes are followed (`kinds`), and a block of instructions is written once for each combination of kinds that arrives there, so
that nothing has to be joined and every type is exact. What the language of programs cannot say is a `CannotRoll` with its reason: the loop is
unrolled, as any other, or left to Python.

    numbers    arithmetic of Python's and NumPy's numbers, with the checks that Python makes
    elements   arrays: expressions over their elements, indexing, assignment, reductions
    functions  what NumPy's functions, methods, and Python's builtins mean; families of them have modules of their own, which `library` lists
    run        what the node does when the graph runs
"""
