# Every target does its own set-up: a virtual environment with the locked dependencies.
PYTHON ?= python3
UV := .tools/uv/bin/uv
UV_VERSION := 0.13.9
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never

.PHONY: setup demo test check bench chaos docs test-tools clean

setup: .venv/ready

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; choose one with PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .tools/uv
	.tools/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/ready: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --frozen --compile-bytecode --python $(PYTHON)
	@touch $@

demo: setup
	$(BIN)/twilio-warehouse demo

test: setup
	$(BIN)/pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql/models sql/tests

bench: setup
	$(BIN)/python -m bench

# Runs killed at random instants, far more of them than the tests have.
chaos: setup
	$(BIN)/python -m tests.flows.chaos

docs: setup
	$(BIN)/python -m docs.generate

# What some tests need beside the locked environment; without it they skip and say so.
test-tools: $(UV)
	npm install --silent --ignore-scripts --no-save --prefix .tools @twilio/cli-core@9.0.0
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .tools/duckdb-1.1.3
	$(UV) pip install --quiet --python .tools/duckdb-1.1.3 duckdb==1.1.3 pytz

clean:
	rm -rf .venv .tools sql/target data/demo data/build
