# The commands of the README. Each sets up what it needs, once.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST = $(BIN)/python -m pytest
unexport PYTHONDONTWRITEBYTECODE # without compiled files each process of the tests compiles the whole project
TOGETHER = -n 2 --dist loadfile --no-loadscope-reorder
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

# An environment has absolute paths: after its folder was copied or moved, it is created anew. After a change of the
# requirements, it is only updated: packages that are no longer required stay installed.
ifneq ($(shell cat $(VENV)/runs 2>/dev/null),$(CURDIR))
$(shell rm -f $(VENV)/runs)
endif

# --name="$NAME" for NAME="Book Shelf" on the command line, and nothing without it. The shell reads the value from the
# environment, so it does not run code in the value.
option = $(if $(findstring command,$(origin $(1))),--$(shell echo $(1) | tr A-Z a-z)="$$$(1)")

.PHONY: run shell check test test-all lint begin without cover bench pictures lock

run: $(VENV)/runs ## Serve the site at http://localhost:5000
	@QUART_LOG_FORMAT=$${QUART_LOG_FORMAT:-console} exec $(BIN)/python run.py --upgrade

shell: $(VENV)/runs ## Open a Python shell inside the app
	@exec $(BIN)/quart --app run shell

lint: $(VENV)/develops ## Check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

check: $(VENV)/develops ## Check style and types, and run the tests that need no other program
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy > $(VENV)/mypy.log 2>&1 & mypy=$$!; \
	$(PYTEST) --tier check $(TOGETHER) -q; tests=$$?; \
	wait $$mypy; types=$$?; cat $(VENV)/mypy.log; exit $$((tests + types))

test: $(VENV)/develops ## Run the tests of the site, also with MariaDB, processes and a browser; or only ARGS
ifdef ARGS
	@$(PYTEST) $(ARGS)
else
	@$(PYTEST) --tier test $(TOGETHER)
endif

test-all: $(VENV)/develops ## Run every test: also floods, kills, fuzzing, every look, and the benchmark
	@$(PYTEST) --tier all $(TOGETHER) -m "not slow"
	@$(PYTEST) --tier all -m slow

begin: $(VENV)/runs ## Turn the clone into a product: make begin NAME="Book Shelf"
	@$(BIN)/python -m app.cli.begin $(foreach key,NAME FEATURES LANGUAGES LICENSE,$(call option,$(key)))

without: $(VENV)/runs ## Delete a feature: make without FEATURE=second_factor
	@$(BIN)/python -m app.cli.remove_feature "$$FEATURE"

cover: $(VENV)/develops ## Measure the coverage of the tests that do not measure time
	@$(PYTEST) $(TOGETHER) -m "not slow" --cov --cov-report=term

bench: $(VENV)/develops ## Measure against a peer and write benchmarks/results.md; ARGS names scenarios
	@PYTHONPATH=src:tests $(BIN)/python benchmarks/bench.py $(ARGS)

pictures: $(VENV)/develops ## Take the pictures of docs/images again
	@PYTHONPATH=src:tests $(BIN)/python tests/pictures.py

lock: $(VENV)/develops ## Write the lock files again, with uv
	$(LOCK) --extra build -o requirements.lock
	$(LOCK) --extra build --extra dev -c requirements.lock -o requirements-dev.lock

$(VENV)/runs: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@echo "Setting up $(VENV) …"
	@[ -f $@ ] || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $@

$(VENV)/develops: $(VENV)/runs requirements-dev.lock
	@echo "Installing the tools for tests …"
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
