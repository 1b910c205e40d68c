# `make demo` and `make test` are all a newcomer needs; both install what they need into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# The lowest versions that pyproject.toml allows have wheels for Python 3.11 and no later one.
LOWEST_PYTHON ?= python3.11
LOWEST := .venv-lowest/bin
LOWEST_STAMP := .venv-lowest/.installed

.PHONY: demo test test-newcomer test-slow test-lowest mutants trust lint format docs bench bench-fit results clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

# The pages that a newcomer types from, each line in a process of its own.
test-newcomer: $(STAMP)
	$(BIN)/python -m pytest -n auto -m newcomer

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

test-lowest: $(LOWEST_STAMP)
	$(LOWEST)/python -m pytest -n auto

# Small mistakes put into the core rooms, to see which of them their tests would not notice.
mutants: $(STAMP)
	$(BIN)/python tests/mutants.py

# Every single fault, flipped bits and kills on the command lines; their counts go into docs/trust.md.
trust: $(STAMP)
	$(BIN)/python -m tests.trust

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Tables of the documents that are made of what the code declares.
docs: $(STAMP)
	$(BIN)/python docs/write_tables.py

bench: $(STAMP)
	$(BIN)/python benchmarks/encoding.py

# Fits, commands and answers beside a busy neighbour: tables of docs/scale.md.
bench-fit: $(STAMP)
	$(BIN)/python benchmarks/fits.py

results: $(STAMP)
	$(BIN)/python benchmarks/whurs19.py

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# Begun anew each time: what is installed already and allowed is kept, however high.
$(LOWEST_STAMP): pyproject.toml
	$(LOWEST_PYTHON) -m venv --clear .venv-lowest
	$(LOWEST)/pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/uv pip install --quiet --python $(LOWEST)/python \
		--resolution lowest-direct --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-lowest build dist *.egg-info demo-results
