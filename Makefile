# make run         set everything up and open edgetui on the demo model
# make test        every check and test, as CI runs them
# make bench       measure edgetui against llama.cpp's own tools; writes benchmarks/results.md
# make screenshots draw the pictures of the README anew, from the running app
# make clean       remove what the above made (pip's cache keeps the built engine)

PYTHON ?= python3
VENV ?= .venv
MODEL ?= SmolLM2-135M-Instruct.Q4_1
BIN := $(VENV)/bin
SETUP := scripts/environment.py scripts/pip_progress.py pyproject.toml constraints.txt
CHECKED := edgetui tests benchmarks scripts

.PHONY: run test bench screenshots python clean

run: $(VENV)/.ready
	@$(BIN)/edgetui --model "$(MODEL)"

test: $(VENV)/.ready-for-tests
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest

bench: $(VENV)/.ready-for-tests
	@$(BIN)/python -m benchmarks

screenshots: $(VENV)/.ready
	@$(BIN)/python -m scripts.screenshots

$(VENV)/.ready: $(SETUP) | python
	@$(PYTHON) -m scripts.environment $(VENV) --python "$(PYTHON)"
	@touch $@

$(VENV)/.ready-for-tests: $(SETUP) | python
	@$(PYTHON) -m scripts.environment $(VENV) --python "$(PYTHON)" --tests
	@touch $@ $(VENV)/.ready

python:
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "edgetui setup: $(PYTHON) is not installed; install Python 3.10 or newer with its venv module" \
	         "(Debian, Ubuntu: apt-get install python3 python3-venv)." >&2; exit 1; }

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
