# Every task of the project is one word here, the same on a laptop and in continuous integration.
# A machine needs make, bash and Python 3.11 or newer; all else is installed into .venv, from the lock file.

SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from-lock

# What may be given on the command line: make bench NAME=decode
DATA ?=
NAME ?=
SHORT ?=
N ?= 200
ARGS ?=

##@ Start

.PHONY: env
env: $(STAMP)  ## Install Fink and what it needs into .venv, each file checked against its recorded hash

# A change of the lock, of the project's own metadata or of the recipe makes the environment anew; nothing else does.
$(STAMP): requirements-dev.lock pyproject.toml .ci/install
	@.ci/install "$(PYTHON)" "$(VENV)"
	@touch $@

.PHONY: demo
demo: env  ## Simulate a night, run the broker on it, show what happened, open the portal  [DATA=path: real packets]
	@$(BIN)/fink demo $(if $(DATA),--data "$(DATA)")

.PHONY: serve
serve: env  ## Open the portal, and the interface for programs, on the demo's archive  [ARGS="--port 8080"]
	@$(BIN)/fink serve --archive fink-demo/archive $(ARGS)

##@ Work

.PHONY: test
test: env  ## Run every test  [ARGS="tests/unit -k avro"]
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: env  ## Check style, format, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: env  ## Put every file into the project's format
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

.PHONY: bench
bench: env  ## Measure, and compare with the goals  [NAME=decode: one of them; SHORT=1: a quick look]
	@$(BIN)/python -m benchmarks $(NAME) $(if $(SHORT),--short)

.PHONY: crash-test
crash-test: env  ## Kill the broker at N random instants and compare with an undisturbed run  [N=200]
	@$(BIN)/python -m benchmarks.crash --n $(N)

.PHONY: crash-test-kafka
crash-test-kafka: env  ## The same from Kafka to Kafka, and a fifteenth of the kills to the server  [N=300]
	@$(BIN)/python -m benchmarks.crash_kafka --n $(if $(filter command line environment,$(origin N)),$(N),300)

.PHONY: fuzz-api
fuzz-api: env  ## Ask the interface N questions that nobody would ask; none may be answered by a server error  [N=50000]
	@$(BIN)/python -m benchmarks.fuzz_api --n $(if $(filter command line environment,$(origin N)),$(N),50000) $(ARGS)

.PHONY: docs
docs: env  ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The documentation is in site/index.html"

##@ Keep

.PHONY: lock
lock: env  ## Resolve the dependencies of pyproject.toml into the two lock files  [ARGS=--upgrade]
	@$(BIN)/python -m uv pip compile $(LOCK_OPTIONS) $(ARGS) pyproject.toml -o requirements.lock
	@$(BIN)/python -m uv pip compile $(LOCK_OPTIONS) $(ARGS) pyproject.toml --group dev -o requirements-dev.lock

LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: clean
clean:  ## Remove everything that the other words made, the environment included
	@rm -rf $(VENV) site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache fink-demo
	@find src tests benchmarks docs -type d -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help
help:  ## Show this
	@awk -f .ci/help.awk $(MAKEFILE_LIST)
