# Thin: each target names its script, the logic is in scripts/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup demo suite test lint generate soak bench dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install and start what is missing (engine, mkfs tools, compiler)
	@scripts/setup.sh

demo: ## set up, build, run the four headline scenarios with their controls
	@scripts/demo.sh

suite: ## set up, build, run every scenario with its controls, on every core
	@scripts/suite.sh

test: ## set up, then everything CI runs: format, clippy, every test
	@scripts/test.sh

lint: ## format check, clippy, shellcheck if it is there
	@scripts/lint.sh

generate: ## write anew what is generated: schema, catalogue, the README's tables
	@scripts/generate.sh

soak: ## many repeats of every scenario, every kill point, states of the twins; resumable (REPEATS=10 MINUTES=55)
	@scripts/soak.sh

bench: ## measure side by side, results in reports/bench/
	@bench/run.sh

dist: ## one static binary and one FROM-scratch image, in target/dist/
	@scripts/dist.sh

clean: ## remove what was built (reports stay)
	@cargo clean
