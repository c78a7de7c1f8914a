# Commands for people who work on this project; each says what it does.
# Needed: git, make, python3 (3.11 or newer) and its venv module. Nothing else.

PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help run install test format lint bench screenshots ci clean

help: ## list these commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: install ## start everything: database, demo, accounts, site
	@./manage.py run

install: .venv/installed ## make .venv from constraints.txt

# Side by side, each process with a PostgreSQL of its own; on a server that is named
# one after the other, for they would end each other's sessions. ARGS takes their place.
SIDE_BY_SIDE = --numprocesses=logical --maxprocesses=4 --dist=loadfile
test: ARGS ?= $(if $(BACKOFFICE_TEST_POSTGRES),,$(SIDE_BY_SIDE))
test: install ## run all tests; nothing has to be prepared
	@./manage.py test $(ARGS)

format: install ## format the code
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

lint: install ## format check, lint, types, floors
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: install ## measure, as ratios in one run
	@.venv/bin/python -m benchmarks $(ARGS)

ci: ## what has to pass before a change is merged
	@bash .ci/run

clean: ## remove .venv and caches; data in var/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/installed: constraints.txt pyproject.toml
	@sh .ci/install "$(PYTHON)"

screenshots: install ## take the pictures of the README again
	@PYTHONPATH=. .venv/bin/python docs/make_screenshots.py
