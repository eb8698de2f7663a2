"""Imported by Python when it starts, in a program begun by `quern run` and in the Pythons it starts: with `QUERN_INSTALL=1` in the
environment, `import quern` puts quern in the place of torch.compile. Then whatever `sitecustomize` the path has without
this folder is run, and the program finds the path as it would be without `quern run`.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))

sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
try:
    import quern as quern
except ModuleNotFoundError as error:
    if error.name != "quern" or os.environ.get("QUERN_PREFIX") == sys.prefix:
        print(f"quern: cannot be imported by {sys.executable} ({error}); the program runs without it", file=sys.stderr)
    # else: another Python than that of `quern run`, which has no quern

_spec = PathFinder.find_spec("sitecustomize", sys.path)
if _spec is not None and _spec.loader is not None:
    _next = module_from_spec(_spec)
    sys.modules["sitecustomize"] = _next
    _spec.loader.exec_module(_next)
