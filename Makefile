PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUN ?= runs/quickstart
# two processes at most, one thread each: more threads than cores make everything many times slower
export OMP_NUM_THREADS ?= 1

.PHONY: quickstart test test-all trust lint bench site install

quickstart:  ## fresh environment, predict with the models that come with it, fine-tune one on the embedded data
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e .
	rm -rf $(RUN)
	$(BIN)/irrepnet predict all examples/SrTiO3.cif
	$(BIN)/irrepnet train --from formation-energy --data elastic_tensor_2015 --target log_K_VRH --epochs 20 --out $(RUN)
	$(BIN)/irrepnet evaluate $(RUN) --data elastic_tensor_2015 --target log_K_VRH
	$(BIN)/irrepnet predict $(RUN) examples/SrTiO3.cif
	@echo "Look at $(RUN)/report.html"

install: $(VENV)/.dev-installed

$(VENV)/.dev-installed: pyproject.toml constraints.txt src/irrepnet/geometry.c src/irrepnet/nn/kernels.c
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

test: install  ## the tests a change must pass
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: install lint  ## slow checks too
	$(BIN)/python -m pytest -n 2

trust: install  ## the suite of docs/trust.md; TRUST_SCALE=0.1 is a tenth of it, TRUST_SEED=1 other cases
	mkdir -p runs && rm -f runs/trust.jsonl
	TRUST_SCALE=$${TRUST_SCALE:-1} TRUST_FIGURES=runs/trust.jsonl $(BIN)/python -m pytest tests/trust -p no:xdist

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

site: install  ## the documentation as pages that are read from disk: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

bench: install  ## what is in benchmarks/speed, one script after the other
	for script in featurising groups hamiltonians networks processes scaling store training; do echo "$$script"; $(BIN)/python benchmarks/speed/$$script.py || exit 1; done
