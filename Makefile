# zongzhi: `make help` lists what can be done here.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9
BIN := .venv/bin
PORT ?= 8080
TIERS ?= 1
ONLY ?=
PROTOS := $(shell find protos -name '*.proto')
GENERATED := protos/descriptors.binpb
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup protos check fix test test-servers e2e run up demo migrate bench nightly chaos breaking-baseline clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: .venv/.ready ## install what zongzhi needs into .venv (no root)

.venv/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "需要 Python 3.11(当前:$(PYTHON))。Python 3.11 is needed; say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "正在建立虚拟环境 .venv … making .venv" >&2
	@$(PYTHON) -m venv .venv || { \
	  echo "请先安装 venv 模块:apt-get install python3-venv。Install the venv module first: apt-get install python3-venv" >&2; exit 2; }
	@echo "正在安装依赖(uv.lock)… installing what uv.lock names" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --quiet --no-python-downloads
	@touch $@

protos: $(GENERATED) ## generate code from the contracts in protos/

$(GENERATED): .venv/.ready $(PROTOS)
	@echo "正在由 protos/ 生成代码 … generating code from protos/" >&2
	@$(BIN)/python -m infra.tools.protos $@

check: protos ## every linter and contract check, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint $(GENERATED) --config protos/buf.yaml
	$(BIN)/buf breaking $(GENERATED) --against protos/baseline.binpb --exclude-imports --config protos/buf.yaml

fix: protos ## let the linters mend what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

breaking-baseline: protos ## take today's contracts as the ones that later changes may not break (at a release)
	cp $(GENERATED) protos/baseline.binpb

test: protos ## the fast tests; no server, no root
	$(PYTEST) -n auto -q protos services gateway infra

test-servers: protos ## the same stores and buses on real PostgreSQL and RabbitMQ (INSTALL=1 installs them, as root)
	@$(BIN)/python -m infra.servers ensure
	$(PYTEST) -q -m servers protos services gateway infra

e2e: protos ## people's stories, on both buses and both databases
	@$(BIN)/python -m infra.servers ensure
	$(PYTEST) -q -m e2e e2e

run: protos ## one district in one process on http://127.0.0.1:8080 (PORT=, JSON=1)
	@exec $(BIN)/python -m infra.run --port $(PORT) --tiers $(TIERS) $(if $(JSON),--json)

up: protos ## a district with real RabbitMQ and PostgreSQL, one process per service and role (INSTALL=1 installs them)
	@exec $(BIN)/python -m infra.up --port $(PORT) $(if $(JSON),--json)

migrate: protos ## bring the databases that the settings name to the newest schema
	$(BIN)/zongzhi migrate --all

bench: protos ## measure against raw limits of the same run (ONLY=part,part)
	@$(BIN)/python -m infra.servers ensure
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

chaos: protos ## kill, cut and restart under load on real servers (WORKER=nameko|pika)
	@$(BIN)/python -m infra.servers ensure
	$(PYTEST) -q -s -m chaos e2e

nightly: check test test-servers e2e chaos bench ## everything, the long tests too

clean: ## remove what was generated (not .run/)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find protos -name '*_pb2*' -delete
	rm -f $(GENERATED)

.PHONY: otel-test observability fleet
otel-test: protos ## one trace through three real Collectors, cut off and killed on the way (needs Go once, to build it)
	@$(BIN)/python -m infra.tools.get_collector
	$(PYTEST) -q -m otel e2e

observability: protos ## write alert rules, dashboards and the table of metrics anew, and let promtool check the rules
	$(BIN)/python -m infra.otel.metrics_table
	$(BIN)/python -m infra.observability
	@if command -v promtool >/dev/null; then cd infra/observability && promtool check rules rules.yaml && promtool test rules rules.test.yaml; \
	else echo "没有 promtool(Debian 包 prometheus),未检查规则。No promtool (Debian package prometheus): rules not checked." >&2; fi

fleet: protos ## write infra/fleet/tiers.csv and values/ anew from the division table
	$(BIN)/zongzhi fleet generate
