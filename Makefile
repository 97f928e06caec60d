# `make demo`, `make test` and `make check` each do their own set-up.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test coverage check site venv

demo: venv  ## animate the demo photo into out/demo
	$(BIN)/duchenne demo -o out/demo

test: venv  ## all tests, those with the real weights included
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --durations 15

coverage: venv  ## what the plain tests reach, with a floor; no model files, browser or cluster
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile \
	  -m "not weights and not browser and not cluster" --ignore tests/fuzz --cov --cov-report term

check: venv site  ## format, lint, types, order of the rooms, the documentation's links
	$(BIN)/ruff format --check src experiments integrations tests benchmarks
	$(BIN)/ruff check src experiments integrations tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

site: venv  ## the documentation into out/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 PATH="$(BIN):$$PATH" $(BIN)/mkdocs build --quiet

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --no-compile -c constraints.txt -e '.[dev]'  # compiled when used
	touch $(STAMP)
