# make demo   set up, train some 50 networks on real images, print three verdicts
# make test   set up, run the test suite
# make lint   set up, check style, imports and types, as pre-commit does
# make bench  set up, measure what things cost; sixteen minutes, in which nothing else should run. With DATA=FOLDER
#             on MNIST and CIFAR-10, too, in mnist/ and cifar10/ of that folder; twenty minutes more
# make docs   set up, write the generated tables and pages anew, build the documentation site into site/
# make recheck   set up, recompute every published number independently of skiplab
# make reproduce-quick   set up, run the quick profile of every experiment
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: bench demo docs recheck reproduce-quick test test-all lint lock clean

demo: $(STAMP)
	$(BIN)/skiplab demo

reproduce-quick: $(STAMP)
	@for claims in experiments/*/claims.yaml; do \
		name="$$(basename "$$(dirname "$$claims")")"; \
		[ ! -f "conf/experiment/$$name/quick.yaml" ] || \
			$(BIN)/skiplab reproduce "$$name" --profile quick || exit 1; \
	done

docs: $(STAMP)
	$(BIN)/python experiments/generated_tables.py
	$(BIN)/python website/reference_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the site: open site/index.html"

bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py $(if $(DATA),"$(DATA)")

test: $(STAMP)
	$(BIN)/python -m pytest -n 3

test-all: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m ''

recheck: $(STAMP)
	$(BIN)/python tests/recheck/recheck.py

lint: $(STAMP)
	$(BIN)/pre-commit run --all-files

# pip would compile on one core. Some packages hold files that can't be compiled, which is no error.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "skiplab needs Python 3.11 or later, got $$($(PYTHON) --version); try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing into .venv (once; minutes, depending on the network)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib > /dev/null || true
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Exact versions of everything, from a fresh environment.
lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0 -e '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv dist site
