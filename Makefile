# Everything below sets up what it needs: a virtual environment in .venv, nothing outside the checkout.
PYTHON ?= python3
# a CPU build where the index offers one; any torch from 2.11 on works
TORCH  ?= torch==2.13.0
VENV   := .venv
BIN    := $(VENV)/bin
# a process a core; a file's tests stay together
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow test-narrow hunt lint bench clean help

help:
	@echo "make demo       compile a transformer and a NumPy function, cold and warm"
	@echo "make test       lint, types and the test suite, on every supported Python found"
	@echo "make test-slow  the long tests: fuzzing, fault campaigns, dense accuracy sweeps, the broad tests' other parameters"
	@echo "make test-narrow  the test suite on AVX2 instructions only, in quern, torch and NumPy's BLAS"
	@echo "make hunt       random programs against eager: MINUTES=30 KINDS='ops numpy python loops' SEED=1"
	@echo "make bench      cold, warm and steady times against eager and torch.compile"

$(VENV)/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=70" wheel
	$(PIP) "$(TORCH)"
	$(PIP) -e ".[test]"
	touch $@

demo: $(VENV)/.ready
	$(BIN)/python -m bench.demo

test: $(VENV)/.ready lint
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow and not gpu"
	PYTHON="$(PYTHON)" SIDE_BY_SIDE="$(SIDE_BY_SIDE)" sh tests/other_pythons.sh

test-slow: $(VENV)/.ready
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "slow and not gpu"

test-narrow: $(VENV)/.ready
	QUERN_CPU_LEVEL=x86-64-v3 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell MKL_ENABLE_INSTRUCTIONS=AVX2 \
		ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow and not gpu"

hunt: $(VENV)/.ready
	$(BIN)/python tests/hunt/hunt.py $(KINDS) --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(VENV)/tree && mkdir -p $(VENV)/tree/quern
	ln -s $(CURDIR)/quern/* $(CURDIR)/capture $(CURDIR)/inductor $(CURDIR)/kernels $(CURDIR)/cache $(VENV)/tree/quern
	MYPYPATH=$(VENV)/tree $(BIN)/mypy -p quern

bench: $(VENV)/.ready
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .venv-* build *.egg-info .pytest_cache .mypy_cache .ruff_cache
