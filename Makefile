# make demo: install, get Fashion-MNIST, train GECO, evaluate, draw.   make test: the quick tests.
# make lint: style, types, import contract, dead code.   make docs: the site, into site/, without a network.
# All make a virtual environment in $(VENV) and install into it again only when setup.cfg changes.

PYTHON ?= python3
VENV ?= .venv
PYTEST_FLAGS ?= -n 2 --dist loadscope
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow lint docs
demo: $(STAMP)
	@$(RUN) -m tfvae.cli.demo

test: $(STAMP)
	@$(RUN) -m pytest $(PYTEST_FLAGS)

test-slow: $(STAMP)
	@XLA_FLAGS= $(RUN) -m pytest -m slow $(PYTEST_FLAGS)

lint: $(STAMP)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports
	@$(RUN) -m vulture tfvae --min-confidence 80 --ignore-names num_classes,ident  # arguments of interfaces of TFP and waitress

docs: $(STAMP)
	@NO_MKDOCS_2_WARNING=1 TF_CPP_MIN_LOG_LEVEL=3 $(RUN) -m mkdocs build --strict

# Debian and Ubuntu keep the part of Python that makes environments with pip in a package of its own.
$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Expected Python 3.11 to 3.13. Received: $$($(PYTHON) --version 2>&1). Choose one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || ./.ci/apt python3-venv || { \
	  echo "Expected Python's venv module to be complete. Run  sudo apt-get install python3-venv  and then make again."; exit 1; }
	@echo "installing into $(VENV) (a few minutes, about 2 GB)"
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
