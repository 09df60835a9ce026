# Every target sets up what it needs: python3 (3.10 or newer, with venv) is enough on a fresh machine.
# The stamps in .venv make a second run quick; a change of the requirements installs anew.
PYTHON ?= python3
REQUIREMENTS = setup.cfg pyproject.toml constraints.txt
IN_VENV = .venv/bin/

.PHONY: help demo test lint format bench data clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    train or load a small network, monitor it on real images, write demo.html'
	@echo 'make test    run the tests'
	@echo 'make lint    ruff and mypy'
	@echo 'make format  let ruff rewrite the files'
	@echo 'make bench   print the tables of benchmarks/ (run make data first)'
	@echo 'make data    fetch Fashion-MNIST, MNIST and CIFAR-10 into the cache'
	@echo 'make clean   remove .venv and what was built'

demo: .venv/.demo
	$(IN_VENV)outrider demo

test: .venv/.dev
	$(IN_VENV)python -m pytest $(ARGS)

lint: .venv/.dev build/typed
	$(IN_VENV)ruff check .
	$(IN_VENV)ruff format --check .
	$(IN_VENV)mypy

format: .venv/.dev
	$(IN_VENV)ruff check --fix .
	$(IN_VENV)ruff format .

bench: .venv/.bench
	$(IN_VENV)python benchmarks/bench_time.py
	$(IN_VENV)python benchmarks/bench_memory.py
	$(IN_VENV)python benchmarks/bench_detection.py fashion-mnist
	$(IN_VENV)python benchmarks/bench_detection.py cifar10

data:
	$(PYTHON) benchmarks/fetch_data.py

clean:
	rm -rf .venv build dist outrider.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp for each extra: .venv/.dev, .venv/.demo, .venv/.bench.
.venv/.%: $(REQUIREMENTS) | .venv/bin/python
	$(IN_VENV)python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

# mypy reads paths, not import hooks: the four rooms, seen where they are installed.
build/typed:
	mkdir -p $@/outrider
	ln -s ../../../networks ../../../coverage ../../../monitor ../../../runtime $@/outrider/
