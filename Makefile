# Everything in a virtual environment of its own: make install, make demo, make test. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
UPDATES ?= 12000
TESTS ?= tests

.PHONY: install demo test check

install:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --no-compile --editable .

demo: data/demo.h5
	for frontend in mel raw; do \
	  run=runs/demo_$$frontend; \
	  if [ -e $$run/settings.json ]; then $(RUN) train.py --resume $$run; \
	  else $(RUN) train.py --frontend $$frontend --length 256 --stride 256 --data data/demo.h5 --run $$run \
	    --updates $(UPDATES) --validation-interval 1000; fi && \
	  $(RUN) evaluate.py $$run/checkpoint.pkl --json $$run/test.json || exit; \
	done
	$(RUN) figures.py runs/demo_raw/checkpoint.pkl --output runs/demo_raw

test: $(VENV)/installed
	$(RUN) -m pytest --numprocesses auto --dist loadfile $(TESTS)

check: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

data/demo.h5: | $(VENV)/installed
	$(RUN) preprocess/build_h5.py --demo

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --no-compile --editable '.[dev]' # most modules are never imported
	touch $@
