"""The column `gradient`: a rule for each op whose derivative generated code computes, by families.

A rule gets (b, node, g): a builder of the graph that is to compute gradients, the node of the forward graph, and the gradient of its
result (a tuple of these, None where there is none, for an op with several results). It gives the gradient of each input, or
None, in any shape that broadcasting made of the input's and in any float dtype: who calls it sums and casts. It may read the node
itself (its result), its inputs and attributes, and raises NoRule where it has none for these attributes.

Rules give eager's gradients, at kinks and at special values too: what they are there is part of each rule. The formulas are those of
calculus, or where rounding or a convention decides, of torch's own table of derivatives (tools/autograd/derivatives.yaml).
"""

from . import activations, indexing, library, pointwise, products, reductions, shapes  # noqa: F401  imported for the rules they add
from .common import NoRule

__all__ = ["NoRule"]
