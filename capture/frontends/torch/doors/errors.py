"""torch's errors as parents of quern's own, so that a program's `except` clauses for torch.compile's errors hold."""

from __future__ import annotations

from torch._dynamo import exc
from torch.fx.experimental.symbolic_shapes import ConstraintViolationError

from ..... import errors
from .replacing import Replaced

_PARENTS: dict[type[Exception], type[Exception]] = {
    errors.QuernError: exc.TorchDynamoException,
    errors.InternalError: exc.InternalTorchDynamoError,
    errors.Unsupported: exc.Unsupported,
    errors.BackendFailed: exc.BackendCompilerFailed,
    errors.InvalidBackend: exc.InvalidBackend,
    errors.RecompileForbidden: exc.RecompileError,
    errors.RecompileLimitExceeded: exc.FailOnRecompileLimitHit,
    errors.SpecializationError: ConstraintViolationError,
}


def install(replaced: Replaced) -> None:
    """Give each error its parent of torch's, behind quern's own."""
    for ours, theirs in _PARENTS.items():
        # a parent that is a parent of the new one already (RuntimeError) stands behind it
        before = tuple(base for base in ours.__bases__ if not issubclass(theirs, base))
        behind = tuple(base for base in ours.__bases__ if issubclass(theirs, base))
        replaced.change(ours, "__bases__", (*before, theirs, *behind))
