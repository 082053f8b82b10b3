# make demo: install (theory, training, figures), then prediction beside real runs on three graphs (runs/demo/)
# make check: lint, types and the fast unit tests, some of every room: three minutes, for the daily loop
# make test: lint, types, unit, processes, triton, browser, docs and docs-test, one after the other:
#   unit       everything in one process     processes  several processes, and runs that are killed
#   triton     kernels in the interpreter and compiled for cards, none of which has to be here
#   browser    the report's page in Chromium  docs       the site, into site/     docs-test  its code blocks, notebooks
# make compat: theory's tests and a comparison with the oldest versions that pyproject.toml allows, in build/; with
#   VERSIONS=newest PYTHON=python3.13 the newest that there are, in another Python
# make gate: before a release: every kernel in every form, for every card and Triton it is said to run with (two hours)
# make faults: the long fault tests (about half an hour)     make bench: measured speed     make clean
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
DEMO := cycle:15 path-star:4x5 karate
FAST := not (slow or packaging or long or docs or browser or triton or processes)
PACKAGES := theory kernels sims tests benchmarks docs
define pip-install
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$(1)]"
endef
# The test files with a marker: reading all of them, libraries included, takes half a minute.
marked = $(shell grep -rl --include='test_*.py' 'mark\.$(1)' tests)

.PHONY: demo install check test lint types fast unit processes triton browser docs docs-test compat gate faults bench format clean

demo: $(VENV)/.sims
	@for graph in $(DEMO); do \
	    echo "== $$graph"; \
	    folder=runs/demo/$$(echo $$graph | tr ':' '-'); \
	    $(BIN)/fiedler compare $$graph --out $$folder --overwrite && $(BIN)/fiedler report $$folder || exit; \
	done

# Two stamps: the demo installs what training and figures need, everything else the tools of the tests as well, which
# include that. A demo after a test, or a test after a demo, installs nothing twice.
install: $(VENV)/.dev

$(VENV)/.sims: pyproject.toml constraints.txt
	$(call pip-install,sims)
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call pip-install,dev)
	touch $(VENV)/.sims $@

check: lint types fast

test: lint types unit processes triton browser docs-test

lint: install
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)

types: install
	MYPYPATH=.types $(BIN)/mypy -p fiedler

# Without the tests that tests/slow.txt lists; python tests/support/slow_tests.py measures them again.
fast: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m "$(FAST)" -n $(JOBS) --dist loadfile

# One thread: the models and matrices of the tests are so small that a second one makes them slower. Whole files to two
# processes, so that what a file sets up once is set up once.
unit: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --durations=15 -n $(JOBS) --dist loadfile

# Training in several processes, and runs that are killed and taken up again.
processes: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(call marked,processes) -m "processes and not long" --durations=5 -n $(JOBS) --dist loadfile

# Every kernel in Triton's interpreter, and compiled for three generations of cards, none of which has to be here.
triton: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(call marked,triton) -m "triton and not long" --durations=5 -n $(JOBS) --dist loadfile

# The report's page in headless Chromium; skipped, with the reason, where there is none.
browser: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser -m browser --durations=5

# Strict: a broken link, anchor or image is an error; site_links.py looks at the built pages as well.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tests/support/site_links.py site

docs-test: docs
	SITE=$(CURDIR)/site OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/docs -m docs --durations=15 -n $(JOBS)

VERSIONS ?= lowest
COMPAT := build/compat-$(VERSIONS)

compat:
	test -x $(COMPAT)/bin/python || $(PYTHON) -m venv $(COMPAT)
	$(PYTHON) tests/support/lowest_versions.py sims > $(COMPAT)/lowest.txt
	$(COMPAT)/bin/python -m pip install --disable-pip-version-check $(if $(filter newest,$(VERSIONS)),--upgrade,-c $(COMPAT)/lowest.txt) \
	    -e ".[sims]" hypothesis mpmath pytest pytest-timeout pytest-xdist sympy
	OMP_NUM_THREADS=1 $(COMPAT)/bin/python -m pytest tests/theory -m "$(FAST)" -n $(JOBS) --dist loadfile
	cd $(COMPAT) && bin/fiedler compare cycle:7 --seeds 2 --steps 50 --out run --overwrite

# What triton leaves out too: all forms of all kernels for six architectures, and with other versions of Triton, which
# pip unpacks into build/triton; whole checks of what kernels touch and in which order.
gate: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(call marked,triton) -m triton -o timeout=14400 --durations=15 -n $(JOBS) --dist loadfile

# Hundreds of kills at random instants, thousands of bad inputs.
faults: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m "long and not triton" -o timeout=3600 --durations=15

bench: install
	$(BIN)/python -m pytest benchmarks -o python_files="bench_*.py" -o timeout=1800 -q -s

format: install
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)

clean:
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
