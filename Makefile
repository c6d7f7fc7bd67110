# SPDX-License-Identifier: GPL-2.0-only
# make run     on a fresh machine: install what is needed, then source to verdict on a real kernel
# make test    lint, types, unit tests, then the VM tests on a real kernel

HARNESS := .venv/bin/harness

.PHONY: run test check unit faults tree vm bootstrap bench format clean

run: bootstrap
	$(HARNESS) run $(ARGS)

test unit: export HARNESS_TESTS := 1

test: bootstrap
	ci/check all

check unit faults tree vm: bootstrap
	ci/check $@

bench: bootstrap
	.venv/bin/python ci/bench $(ARGS)

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bootstrap:
	@ci/bootstrap

clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache
