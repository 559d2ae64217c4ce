# `make demo` and `make test` are the two commands; everything else is a part of them, or for a
# day's work. Each sets up what it needs first (.ci/setup), and a second time that takes no network.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tools of the project come before the machine's: a node from PyPI lives in .venv/bin too. A user's
# PATH often lacks the sbin folders, where Debian puts mosquitto and mkfs.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/contracts/node_modules/.bin:$(PATH):/usr/sbin:/sbin
# Container images often ask Python to keep no bytecode. The tests start commands a hundred times, and each
# would compile the whole project again: half a second of its two and a half.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
ANALYSIS := .venv-analysis/bin
PYTEST := $(PYTHON) -m pytest
# Unit tests share the cores; of the others, .ci/test says which do.
SHARED := -n auto --maxprocesses 4 --dist worksteal
ARGS ?=
FOR ?=
PACKAGES = $(foreach package,agent drivers contracts simulators,$(if $(wildcard $(package)/__init__.py),$(package)))

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# --- The two commands ---

.PHONY: demo
demo: ## two meters, a chain, a broker and the agent until Ctrl-C; `make demo FOR=60` for 60 seconds
	@.ci/setup python contracts broker
	@exec $(PYTHON) -m simulators.demo $(if $(FOR),--for $(FOR)) $(ARGS)

.PHONY: consortium
consortium: ## the same on a chain that three areas' full nodes seal; `make consortium FOR=70` for 70 seconds
	@.ci/setup python contracts broker consortium
	@exec $(PYTHON) -m simulators.demo --consortium $(if $(FOR),--for $(FOR)) $(ARGS)

.PHONY: test
test: setup ## everything that must pass before a commit is shared (under ten minutes)
	@$(MAKE) --jobs=2 --output-sync=target lint contracts-check
	@echo "test: unit and integration tests"
	@.ci/test $(ARGS)

.PHONY: coverage
coverage: ## the same, and what it covers, as CI counts it
	@CI=true $(MAKE) test

# --- Tests in parts ---

.PHONY: setup
setup: ## install what demo and test need, and nothing that is there already
	@.ci/setup python
	@.ci/setup analysis & analysers=$$!; .ci/setup contracts verifier broker database; code=$$?; \
		wait $$analysers && exit $$code

.PHONY: unit
unit: ## unit tests alone: no sockets, no clock, on all cores
	@.ci/setup python
	@$(PYTEST) $(SHARED) tests/unit $(ARGS)

.PHONY: integration
integration: ## integration tests alone: real parts on loopback
	@.ci/setup python contracts verifier broker database
	@$(PYTEST) -m "integration and not slow" $(ARGS)

.PHONY: test-slow
test-slow: ## minutes-long tests: fault loops, power cut, systemd (some need root and say so)
	@.ci/setup python contracts broker consortium fault-tools
	@echo "test-slow: fault loops, power cut, systemd, a consortium"
	@.ci/test-slow $(ARGS)

.PHONY: bench
bench: ## measure gas, memory, processor, bytes written and latency
	@.ci/setup python contracts broker consortium
	@exec $(PYTHON) -m simulators.bench $(ARGS)

# --- Checks ---

.PHONY: lint
lint: ## ruff, mypy, import walls, and shellcheck where it is installed
	@.ci/setup python
	@echo "lint: ruff, mypy, import-linter"
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --check --quiet . || { echo "lint: not formatted; run: make format"; exit 1; }
	@$(PYTHON) -m mypy --no-error-summary $(addprefix -p ,$(PACKAGES))
	@PYTHONPATH=. .venv/bin/lint-imports --no-cache --no-logo
	@if command -v shellcheck >/dev/null; then shellcheck $(filter-out %.py,$(wildcard .ci/*)); else echo "lint: no shellcheck here, so .ci is not checked"; fi

.PHONY: format
format: ## let ruff format and fix what it can
	@.ci/setup python
	@$(PYTHON) -m ruff check --quiet --fix .
	@$(PYTHON) -m ruff format .

.PHONY: contracts-check
contracts-check: ## recompile and compare the artifact, forge tests, slither
	@.ci/setup python contracts analysis
	@.ci/contracts-check

.PHONY: security
security: ## bandit, secrets in files and history, known vulnerabilities, SBOM in build/
	@.ci/setup python analysis
	@.ci/security

# --- Keeping house ---

.PHONY: lock
lock: ## resolve the dependencies anew into the lock files (network; uv from PyPI)
	@.ci/setup python
	@.ci/lock

.PHONY: clean
clean: ## remove what was built or measured; the environments and npm packages stay
	rm -rf build dist htmlcov .coverage .coverage.* .demo .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis contracts/out contracts/cache
	find $(PACKAGES) tests .ci -name node_modules -prune -o -name __pycache__ -prune -exec rm -rf {} +
