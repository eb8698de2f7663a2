"""Loops: the language between lowering and code generation. Both code generators read it.

A `Kernel` (`inductor.kernel`) is a loop nest over an outer index space `p` (every point independent) and an optional
reduction space `r` inside it. Its meaning is a set of `Store`s; each stored value is an expression DAG
over loads, loop indices and pointwise ops. A `reduce` expression closes over `r`: its value depends on `p` only.

    softmax over the last axis of float32[4096, 1024]:
      for p0 < 4096, r0 < 1024:
        a = load(in0, 1024*p0 + r0)
        m = reduce.max(a)                 # depends on p0
        e = exp(a - m)
        s = reduce.sum(e)                 # second pass over r
        store(out0, 1024*p0 + r0, e / s)  # third pass over r

`reduce_depth` counts the passes over r that must precede an expression: code generators that loop over r emit
one loop per depth and recompute the pointwise part; those that hold a whole row in registers emit one block.

Expressions are interned: equal expressions are the same object, so common subexpressions need no pass.
`Index` is an integer-valued linear form kept canonical with plain ints (sympy only as a coefficient, when a size is dynamic).
"""

from .arithmetic import (
    delinearize,
    exact_quotient,
    floordiv,
    index_interval,
    indirect,
    linearize,
    mod,
    points,
    upper_bound,
)
from .build import cast, const, index_value, is_in_order, load, masked, reduce, reduces_under_mask, spelled_out
from .forms import Attend, Fn, Reduce, Scan, Scatter
from .language import ZERO, Atom, Expr, FloorDiv, Index, Indirect, Mod, Var, as_index, expr, postorder
from .rewriting import map_atoms, rewrite, split_var, substitute, substitute_expr, substitution

__all__ = [
    "ZERO", "Atom", "Attend", "Expr", "FloorDiv", "Fn", "Index", "Indirect", "Mod", "Reduce", "Scan", "Scatter",
    "Var", "as_index", "cast", "const", "delinearize", "exact_quotient", "expr", "floordiv", "index_interval", "index_value", "indirect", "is_in_order",
    "linearize", "load", "map_atoms", "masked", "mod", "points", "postorder", "reduce", "reduces_under_mask", "rewrite",
    "spelled_out", "split_var", "substitute", "substitute_expr", "substitution", "upper_bound",
]  # fmt: skip
