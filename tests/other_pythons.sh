#!/bin/sh
# Runs the tests that need no torch under every other supported Python found: the capture layer and the NumPy front end.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
main=$("${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for version in 3.11 3.12 3.13; do
    [ "$version" = "$main" ] && continue
    found=
    for candidate in "python$version" "$HOME/.pyenv/versions/$version."*/bin/python; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$version'.split('.'))))" 2>/dev/null; then
            found=$candidate
            break
        fi
    done
    if [ -z "$found" ]; then
        echo "Python $version: not found on this machine, its tests are left out"
        continue
    fi
    venv=".venv-$version"
    if [ ! -f "$venv/.ready" ]; then
        "$found" -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            numpy sympy filelock bytecode rich "pytest>=8" "pytest-xdist>=3" hypothesis "setuptools>=70"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
        touch "$venv/.ready"
    fi
    echo "Python $version: capture, NumPy, cache"
    "$venv/bin/python" -m pytest ${SIDE_BY_SIDE:-} -m "not slow and not gpu and not torch" tests/corpus tests/capture tests/numpy tests/test_miniature.py tests/cache/test_cache_store.py tests/cache/test_cache_key.py tests/test_walls.py
done
