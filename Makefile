# Tasks. PYTHON is the interpreter of the environment that has tests/requirements.txt.
PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.PHONY: install lint unit test app docs

install:
	python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt

lint:
	$(BIN)ruff check . && $(BIN)ruff format --check . && $(BIN)mypy && $(BIN)lint-imports

unit:
	$(PYTHON) -m pytest tests/unit

test:
	$(PYTHON) -m pytest

app:
	$(PYTHON) app.py

# The documentation as a website in site/. Needs docs/requirements.txt, which tests/requirements.txt includes.
docs:
	$(PYTHON) -m docs.tables && $(PYTHON) -m mkdocs build --strict
