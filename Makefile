# Every target makes the virtual environment it needs, once, and says what it does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 7860

.PHONY: app test check fix bench demo clean

app: $(VENV)/.app ## serve the app on 127.0.0.1:$(PORT)
	@echo "Wellspring starts on http://127.0.0.1:$(PORT) (Ctrl+C stops it)"
	@$(BIN)/python app.py --port $(PORT)

test: $(VENV)/.dev ## run all tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev ## lint, formatting, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

fix: $(VENV)/.dev ## mend what the linter can mend
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: $(VENV)/.dev ## print speed as ratios (WELLSPRING_DATA names the images)
	@$(BIN)/python -m benchmarks.speed

demo: $(VENV)/.dev ## render the embedded gallery's images and index them
	@$(BIN)/python -m demo.render --out assets/gallery/images --first 0 --count 240 --size 256
	@$(BIN)/python -m core index assets/gallery/images --out assets/gallery \
	    --encoder moco --encoder dino --encoder thumbnail --encoder histogram --encoder phash

clean: ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/bin/python:
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	    || { echo "Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	@echo "installing requirements.txt (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-train.txt requirements-dev.txt | $(VENV)/bin/python
	@echo "installing requirements-dev.txt (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.app
