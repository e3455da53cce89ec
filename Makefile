# Two commands matter: `make demo` and `make test`. Both set everything up first and can be run again.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
STAMP := .venv/.setup-$(shell cat pyproject.toml requirements.lock ops/setup.sh 2>/dev/null | cksum | cut -d' ' -f1)

help:
	@sed -n 's/^\([a-z]*\):.*## /\1  /p' Makefile

$(STAMP): pyproject.toml requirements.lock ops/setup.sh
	@bash ops/setup.sh
	@rm -f .venv/.setup-* && touch $@

setup: $(STAMP)  ## system packages (when root) and the virtual environment

demo: setup  ## a real SIP call to the embedded default, start to end
	@$(PY) -m bridge demo

# programs that tests talk to and that cannot share .venv: mcp-proxy needs an older mcp
.venv-peers/.setup: tests/peers/requirements.lock
	@python3 -m venv .venv-peers
	@.venv-peers/bin/python -m pip install -q --disable-pip-version-check -r $< 2> >(grep -v 'is neither a file' >&2)
	@touch $@

test: setup .venv-peers/.setup  ## every test
	@$(PY) -m pytest -n auto

check: setup  ## format, lint, types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy

format: setup  ## write the format
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

bench: setup  ## measure, print a table and JSON
	@$(PY) -m tests.bench

load: setup  ## SIPp and speech against the whole, as the number of calls grows: LOAD="--calls 80 --edge"
	@$(PY) -m tests.bench.load $(LOAD)

hostile: setup  ## what dies, what callers have of it: two nodes in network namespaces (root)
	@$(PY) -m tests.bench.failures

soak: setup  ## half an hour of calls: nothing grows, nothing is lost (root); MINUTES=N
	@$(PY) -m tests.bench.soak --minutes $(or $(MINUTES),30)

screenshots: setup  ## a picture of every page of the console into ops/screenshots: PAGES="start health"
	@$(PY) -m tests.bench.screenshots $(PAGES)

lock: setup  ## pin the newest versions pyproject.toml admits
	@bash ops/lock.sh

.PHONY: screenshots hostile soak help setup demo test check format bench load lock
