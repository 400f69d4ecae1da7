# Esep: set up, run, check. `make` alone lists the targets.

VENV ?= .venv
VAR ?= var
# The first Python on PATH that is new enough; `make PYTHON=/path/to/python3.12 …` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
# Test processes side by side in `make test` and `make test-live`; `make test WORKERS=0` runs all in one.
WORKERS ?= 2
# More for pytest: make test ARGS="-k signature", make test ARGS="tests/unit/enrich -x".
ARGS ?=
SEEDS ?= 25
MONTHS ?= 3
SOURCES := .ci pipeline connectors tests docs/images
EXAMPLE := docs/example/2026-10
# The example's one blocking issue: an output to an address that nobody has labelled.
EXAMPLE_OUTFLOW := d4dcae3cb3112ed9b2ef6c2a24b493f6fefbac4e117c6c4e0b10908cd739dfd9:1
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help install install-dev run console check test test-live bitcoind core-geth coverage lint format golden texts bench simulate mutate docs site lock audit verifier clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | while IFS='|' read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

install: $(VENV)/.installed ## Set up .venv from the lock; nothing else
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "make: Python 3.11 or newer is needed and none is on PATH: install it, or say 'make PYTHON=/path/to/python3'" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) does not start, or is older than Python 3.11: say 'make PYTHON=/path/to/python3'" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: $(PYTHON) can't make a virtual environment (on Debian: apt-get install python3-venv)" >&2; exit 1; }

# Hashes are checked for every package. Build tools come first, so that no step fetches anything that is not locked.
$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	@echo "make: 1 of 3: build tools"
	@$(PIP) install --quiet --require-hashes -r requirements-build.lock
	@$(PYTHON) .ci/installing.py "make: 2 of 3" requirements.lock $(PIP) install --require-hashes --no-build-isolation -r requirements.lock
	@echo "make: 3 of 3: Esep itself"
	@$(PIP) install --quiet --no-build-isolation --no-deps -e .
	@touch $@
	@echo "make: installed: . $(VENV)/bin/activate && esep --help"

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --quiet --require-hashes --no-build-isolation -r requirements-dev.lock
	@touch $@

run: install ## Process the example month: from a recorded node to the frozen, verified form in var/
	@status=0; $(BIN)/esep demo $(EXAMPLE) --var $(VAR) || status=$$?; \
	if [ $$status -eq 3 ]; then \
		$(BIN)/esep waive 2026-10 unknown-outflow $(EXAMPLE_OUTFLOW) --config $(VAR)/esep.toml \
			--reason "Invoice from a supplier pending; asked on 2 November 2026" --by "Example operator" && \
		$(BIN)/esep demo $(EXAMPLE) --var $(VAR); \
	else exit $$status; fi

console: install ## The example month in a browser: prints a localhost address with a link that signs in once
	@echo "make: bringing in the example month (about half a minute)"
	@status=0; $(BIN)/esep demo $(EXAMPLE) --var $(VAR) >/dev/null 2>&1 || status=$$?; \
	if [ $$status -ne 0 ] && [ $$status -ne 3 ]; then $(BIN)/esep demo $(EXAMPLE) --var $(VAR); exit $$?; fi; \
	exec $(BIN)/esep console --config $(VAR)/esep.toml $(ARGS)

# What a test process compiles (pytest's own form of the tests too: half of a worker's start) is kept for the others, whatever the shell says of it.
check test coverage test-live: export PYTHONDONTWRITEBYTECODE :=

check: install-dev lint ## Within a minute: format, lint, types, and the unit tests of what changed since main
	@tests=$$($(BIN)/python .ci/changed.py) && if [ -n "$$tests" ]; then $(PYTEST) -n $(WORKERS) --dist loadfile $$tests; else echo "no unit test depends on what changed"; fi

test: install-dev ## All tests but those that need a real node; ARGS="-k NAME" picks some
	$(PYTEST) -m "not live" -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

# The floor stands in pyproject.toml, `[tool.coverage.report]`.
coverage: install-dev ## The same tests, measuring line and branch coverage: fails below the floor
	$(PYTEST) -m "not live" -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --cov-report=html:build/coverage $(ARGS)

# Debian's packages that single parts want; each part says why it did not run where they can't be had.
LIVE_PACKAGES := litecoind chromium libreoffice-calc libfaketime strace postgresql mariadb-server cmake g++ libboost-dev libevent-dev btrfs-progs xfsprogs

test-live: install-dev ## Tests against real nodes; parts that can't run here are skipped with the reason
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && ! dpkg -s $(LIVE_PACKAGES) >/dev/null 2>&1; then \
		apt-get install -y -q $(LIVE_PACKAGES) >/dev/null 2>&1 || { apt-get update -q >/dev/null 2>&1 && apt-get install -y -q $(LIVE_PACKAGES) >/dev/null 2>&1; } || true; fi
	@$(BIN)/python -m tests.live.bitcoind --unless-given || true
	$(PYTEST) -m live tests/live -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

bitcoind: install-dev ## Build Bitcoin Core's daemon for the live tests, once, into the user's cache
	$(BIN)/python -m tests.live.bitcoind

core-geth: install-dev ## Build Ethereum Classic's node for the live tests, once, into the user's cache
	$(BIN)/python -m tests.live.evm.provision

lint: install-dev ## Format, lint, types, import contracts, the documents' links
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python .ci/house.py
	$(BIN)/python .ci/links.py

format: install-dev ## Rewrite sources in the house's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

golden: install-dev ## Rewrite the golden files from what the code makes now; read the diff before you commit it
	ESEP_GOLDEN=write $(PYTEST) tests/golden

texts: install-dev ## Bring the translations' catalogues up to date with the messages in the code, and compile them
	$(BIN)/python -m pipeline.cli.collect_texts pipeline

bench: install-dev ## Measure: a synthetic month from log to frozen report, each step beside its ceiling
	$(BIN)/python -m tests.bench

docs: install ## Rewrite the generated documents: data dictionary, event schemas
	$(BIN)/esep docs

site: install-dev ## Build the documents as a site in build/site, readable offline
	$(BIN)/mkdocs build --strict --quiet

lock: install-dev ## Pin the newest versions that pyproject.toml allows, with hashes
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --upgrade --group pyproject.toml:build -c requirements-dev.lock -o requirements-build.lock

simulate: install-dev ## Simulated pools under faults, SEEDS of them for MONTHS each; SEEDS=1000 for a night
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --months $(MONTHS) --jobs 2
	$(BIN)/python -m tests.simulation --chain evm --seeds $(SEEDS) --months $(MONTHS) --jobs 2

mutate: install-dev ## Apply deliberate bugs to a copy, one at a time; the tests must catch every one
	$(BIN)/python -m tests.mutation
	$(BIN)/python -m tests.mutation.of_verify

audit: install-dev ## Packages looked up among published vulnerabilities, and a bill of materials in dist/
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o dist/esep.cdx.json requirements.lock
	@echo "dist/esep.cdx.json: the bill of materials (CycloneDX)"
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements.lock || { \
		echo "make audit: a vulnerability, or packages that could not be looked up (no way to the database): nothing is known of them" >&2; exit 1; }

VERIFIER := dist/esep-verify.pyz

verifier: install-dev ## The verifier in one file for an auditor, dist/esep-verify.pyz, and its tests run from that file
	$(BIN)/python .ci/verifier.py $(VERIFIER)
	ESEP_VERIFIER=$(abspath $(VERIFIER)) $(PYTEST) tests/integration/test_verifier_alone.py tests/forgery -n $(WORKERS) --dist loadfile $(ARGS)

clean: ## Remove .venv and caches; var/ is kept
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
