# Shortcuts. The commands of README.md need none of this.
.DEFAULT_GOAL := help
.PHONY: help run test test-compiled lint fmt type bench bench-check bench-peers figures profile soak docs-check check image clean

VENV := .venv/bin
PYTHON ?= python3
INSTALLED := .venv/.installed
# What is measured: the compiled wheel, as the container image has it. MEASURED=.venv: plain Python.
COMPILED := build/compiled
MEASURED ?= $(COMPILED)
# By the system's Python, if it can: an interpreter of Debian's or of a container image is built with
# profile and link-time optimization, one that pyenv built is not (a tenth slower). Peers have it too.
FIT := import ensurepip, os, sys, sysconfig; \
  sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
MEASURING_PYTHON ?= $(if $(shell /usr/bin/python3 -c '$(FIT)' 2>&1 || echo no),$(PYTHON),/usr/bin/python3)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED) ## Serve config.example.yaml on 127.0.0.1:8080
	$(VENV)/llm-proxy serve --config config.example.yaml

test: $(INSTALLED) ## Run all tests
	$(VENV)/pytest

test-compiled: $(COMPILED)/.installed ## Run the tests over the compiled wheel, before a release
	$(COMPILED)/bin/pip install -q -c constraints.txt 'llm-proxy[test]'
	echo "$(CURDIR)" > "$$($(COMPILED)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/source.pth"
	PYTHONSAFEPATH=1 $(COMPILED)/bin/llm-proxy version | grep compiled
	PYTHONSAFEPATH=1 $(COMPILED)/bin/pytest -o pythonpath= --ignore tests/guard

lint: $(INSTALLED) ## Find what ruff and codespell find
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/codespell

fmt: $(INSTALLED) ## Format, and mend what can be mended
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

type: $(INSTALLED) ## Check the types
	$(VENV)/mypy

bench: $(MEASURED)/.installed ## Measure everything, at most 10 minutes (docs/bench.md)
	$(MEASURED)/bin/llm-proxy bench --json build/bench.json --report build/bench.html \
	  --picture build/bench.svg

bench-peers: $(MEASURED)/.installed ## All goals, beside other gateways, fetched the first time, 20 minutes
	$(MEASURED)/bin/llm-proxy bench --peers nginx vllm-router tensorzero portkey litellm \
	  --scenario cold --scenario memory --scenario latency --scenario paced \
	  --scenario chat --scenario prompt-200k --scenario held --scenario flood \
	  --json build/bench-peers.json --report build/bench-peers.html \
	  --picture docs/bench.svg

bench-check: $(MEASURED)/.installed ## Measure, and fail where a goal of bench/budgets.toml is missed
	$(MEASURED)/bin/llm-proxy bench --scenario cold --scenario memory --scenario latency \
	  --scenario paced --scenario chat --scenario prompt-200k --scenario held --scenario flood \
	  --duration 4s --repeat 5 --budgets bench/budgets.toml --json build/bench-check.json

figures: $(INSTALLED) ## Measure what bench/README.md tells of
	$(VENV)/python -m bench.figures

profile: $(INSTALLED) ## Draw where a worker's time goes, SCENARIO=chat (docs/bench.md)
	$(VENV)/python -m bench.profile --scenario $(or $(SCENARIO),chat)

soak: $(INSTALLED) ## Work the proxy for an hour, HOURS=1, and judge its memory
	$(VENV)/python -m bench.soak --hours $(or $(HOURS),1) --plot docs/soak.svg

docs-check: $(INSTALLED) ## Check the documents against the code
	$(VENV)/pytest -q tests/guard/test_guard_docs.py tests/guard/test_guard_links.py
	$(VENV)/codespell README.md CHANGELOG.md docs changes plugins

check: ## All that has to pass before a change is taken
	.ci/run

image: ## Build the container image llm-proxy
	docker build --tag llm-proxy .

clean: ## Remove what was made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

$(COMPILED)/.installed: pyproject.toml constraints.txt hatch_build.py $(shell find proxy bench -name '*.py')
	$(MEASURING_PYTHON) -m venv --clear $(COMPILED)
	@echo "compiling the hot path: two minutes; MEASURED=.venv goes without"
	HATCH_BUILD_HOOKS_ENABLE=1 $(COMPILED)/bin/pip install -q -c constraints.txt '.[embedded,cel]'
	@touch $@

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(VENV)/pip install -q -c constraints.txt -e '.[test,lint]'
	@touch $@
