# `make demo` and `make test` need Python >= 3.11 and nothing else; each sets itself up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
UPGRADE ?= -U
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
LOCK = uv pip compile -q $(UPGRADE) --generate-hashes --no-strip-extras --universal --python-version 3.11 \
  --custom-compile-command "make lock" pyproject.toml

.PHONY: help demo test check format lock clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock >&2
	@touch $@

$(DEV_STAMP): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock >&2
	@touch $@ $(STAMP)

demo: $(STAMP) ## a takedown for a real WebRTC stream, everything embedded
	@$(BIN)/python -m sidecar demo $(ARGS)

test: $(DEV_STAMP) ## all tests; those that need missing programs are skipped, with a reason
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(DEV_STAMP) ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy sidecar tests models benchmarks
	$(BIN)/lint-imports

format: $(DEV_STAMP) ## rewrite in house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## renew the locks (needs uv); UPGRADE= keeps what they pin
	$(LOCK) --extra cpu -o requirements.lock
	for runtime in gpu openvino; do \
	  $(LOCK) --extra $$runtime -c requirements.lock -o requirements-$$runtime.lock; \
	done
	$(LOCK) --group dev --extra cpu --extra remote -o requirements-dev.lock
	$(LOCK) --extra cpu --extra remote -c requirements-dev.lock -o requirements-remote.lock

clean: ## forget the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
