# The commands of the README. Each sets up what it needs, once.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
TOGETHER = -n 2 --dist loadfile --no-loadscope-reorder
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

.PHONY: run test cover lint shell bench pictures lock

run: $(VENV)/runs ## Serve the site at http://127.0.0.1:5000
	@$(BIN)/python run.py --upgrade

shell: $(VENV)/runs ## Open a Python shell inside the app
	@$(BIN)/quart --app run shell

test: $(VENV)/develops ## Run every test, or only ARGS
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest $(TOGETHER) -m "not slow"
	@$(BIN)/python -m pytest -m slow
endif

cover: $(VENV)/develops ## Measure what the tests cover that do not measure time
	@$(BIN)/python -m pytest $(TOGETHER) -m "not slow" --cov --cov-report=term

lint: $(VENV)/develops ## Check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(VENV)/develops ## Measure against a peer and write benchmarks/results.md; ARGS names scenarios
	@PYTHONPATH=src:tests $(BIN)/python benchmarks/bench.py $(ARGS)

pictures: $(VENV)/develops ## Take the pictures of docs/images anew
	@PYTHONPATH=src $(BIN)/python tests/pictures.py

lock: ## Write the lock files anew, with uv
	$(LOCK) --extra build -o requirements.lock
	$(LOCK) --extra build --extra dev -c requirements.lock -o requirements-dev.lock

$(VENV)/runs: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/develops: $(VENV)/runs requirements-dev.lock
	@echo "Adding the tools to test with …"
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
