# make demo: the first curves on the built-in dataset.  make test: everything that CI runs.
# make quick: the tests without whole flows, kills and servers.  make long: flows that take a minute.
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY ?= true

PYTEST := python -m pytest -n auto --dist worksteal

.PHONY: demo test tests quick long lint

$(VENV)/.installed: pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --upgrade-strategy only-if-needed -c constraints.txt -e ".[dev]"
	@# On all cores and without the tests of packages, where pip takes a minute on one core. Some
	@# packages hold files for a newer Python, which do not compile.
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib || true
	touch $@

demo: $(VENV)/.installed
	mlflow run . --env-manager local --experiment-name influence -P fractions=0.7,0.9 -P seeds=4
	@python -m entrypoints.where

test: $(VENV)/.installed
	@# At once: the type checker would leave a core idle for a minute.
	@$(MAKE) --no-print-directory --jobs=2 lint tests

tests: $(VENV)/.installed
	$(PYTEST) -m "not long"

quick: $(VENV)/.installed
	$(PYTEST) -m "not slow"

long: $(VENV)/.installed
	$(PYTEST) -m long

lint: $(VENV)/.installed
	ruff format --check .
	ruff check .
	pyright
