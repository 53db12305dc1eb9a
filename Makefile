# make demo   train models that read dates of many languages, export them, ask them
# make test   style, types, layers and tests
# make explore   tests on other drawn examples than those of `make test`, for SECONDS=3600
# make examples   onnxruntime for Node and browsers from npm, and the tests of examples/ with it
# make docs   the manual, as build/docs/index.html; nothing is fetched
# make gpu   on a machine with a CUDA GPU: the same numbers, and how fast; build/gpu.json
# Each makes .venv first if it is missing or older than pyproject.toml or constraints.txt.
# Another Python: make PYTHON=/path/to/python (after `make clean`, if .venv is there already).

.POSIX:
.PHONY: demo test docs gpu explore examples lint format clean
.DELETE_ON_ERROR:

# The first that runs, is new enough and can make a virtual environment.
PYTHON = $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && { echo "$$python"; break; }; done)

VENV = .venv
BIN = $(VENV)/bin
READY = $(VENV)/installed
# The versions come from constraints.txt alone, the build back ends' included, hence no isolation:
# hatchling and editables build rnnspec, setuptools and setuptools-scm build seqeval (no wheel).
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -qq -c constraints.txt

DEMO = demo
RNNSPEC = cd $(DEMO) && ../$(BIN)/rnnspec

# In a folder of its own, so that the builds and the exported files land there too. First a file that
# writes texts; then three lives of one file: texts answered, a stream answered letter by letter,
# and the page of its build.
STREAMED = --set 'encoder.layers=[{cell: gru, units: 96}]' --set train.epochs=2

demo: $(READY)
	rm -rf $(DEMO)
	$(BIN)/rnnspec new dates-iso $(DEMO)/
	$(RNNSPEC) build dates-iso.yaml
	$(RNNSPEC) export --onnx --output dates-iso.onnx
	$(RNNSPEC) run dates-iso.onnx --text 'Sonntag, 22. November 2026' \
	  --text 'dimanche 22 novembre 2026' --text '2026年11月22日(日)' --text '22 листопада 2026 р.'
	$(BIN)/rnnspec new dates-language $(DEMO)/
	$(RNNSPEC) build dates-language.yaml $(STREAMED)
	$(RNNSPEC) export --onnx --stream --output dates-language.onnx
	$(RNNSPEC) run dates-language.onnx --text 'Sonntag, 22. November 2026'
	printf '%s\n' So 'nntag, ' 22. ' Nov' 'ember 2026' | { $(RNNSPEC) run dates-language.onnx --stream; }
	@echo "a page with curves, metrics and examples:" $(DEMO)/builds/dates-language/001/report.html

# OMP_NUM_THREADS=1: pytest's two processes share the cores; more threads would only contend.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Warnings are errors; pages that are read off the package are written by docs/generate.py first.
docs: $(READY)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/docs
	@echo "wrote build/docs/index.html"

gpu: $(READY)
	$(BIN)/python benchmarks/gpu.py --seconds 480 --json build/gpu.json

SECONDS = 3600

explore: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.explore --seconds $(SECONDS)

# onnxruntime's headers for C are in no package of PyPI; those of iOS are the same, and on npm.
HEADERS = com.github.asus4.onnxruntime@0.4.9
HEADER = examples/include/onnxruntime_c_api.h

examples: $(READY)
	cd examples && npm install --ignore-scripts --no-audit --no-fund --no-package-lock
	test -e $(HEADER) || { mkdir -p examples/include && cd examples/include \
	  && npm pack --silent $(HEADERS) >/dev/null && tar -xzf *.tgz --strip-components=7 \
	  --wildcards '*/ios-arm64/onnxruntime.framework/Headers/*.h' && rm *.tgz; }
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -ra tests/test_streams_elsewhere.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy rnnspec tests $(wildcard benchmarks)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "rnnspec needs Python 3.11 or newer with its venv module;" \
	  "none of python3.11, python3.12, python3.13, python3 is. Install one (on Debian and Ubuntu" \
	  "also python3-venv) or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into $(VENV) (once; torch is large)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(INSTALL) pip setuptools setuptools-scm hatchling editables
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis
