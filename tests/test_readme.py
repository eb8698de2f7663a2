"""What the README shows of NumPy programs is what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_what_the_examples_print(tmp_path):
    blocks = [
        (language, text)
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
        if language == "python" and "torch" not in text or text.startswith(("1 graph", "cannot capture"))
    ]
    (_, standardise), (_, explain), (_, explained), (_, breaks), (_, refused) = blocks
    program = tmp_path / "example.py"
    program.write_text(f"{standardise}{explain}{breaks}")
    environment = {**os.environ, "QUERN_CACHE_DIR": str(tmp_path / "cache")}
    ran = subprocess.run([sys.executable, program.name], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert stable(ran.stdout) == stable(explained)
    error = ran.stderr[ran.stderr.index("quern.errors.Unsupported: ") :].partition(": ")[2]
    assert error.replace(str(program), "example.py") == refused


def stable(text):
    """Without what differs from run to run and from machine to machine: times, the plan's key, the choice of a strategy."""
    text = re.sub(r"plan \w+", "plan", re.sub(r"call \d+ ms", "call", text))
    return [line for line in text.splitlines() if not line.lstrip().startswith(("times in ms", "emitted by"))]
