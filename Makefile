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

demo: protos ## bring the example register of 2021 into `make run` and print its totals (PORT=)
	@exec $(BIN)/python -m infra.demo --port $(PORT)

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

.PHONY: otel-test observability fleet collector-image
otel-test: protos ## one trace through three real Collectors, cut off and killed on the way (needs Go once, to build it)
	@$(BIN)/python -m infra.tools.get_collector
	$(PYTEST) -q -m otel e2e

collector-image: .venv/.ready ## the Collector as an image, for test clusters that cannot pull it (needs Go once)
	@$(BIN)/python -m infra.tools.get_collector
	$(DOCKER) build -q -f infra/docker/collector.Dockerfile -t zongzhi-collector:$(TAG) .tools/bin

cluster-test: collector-image

observability: protos ## write alert rules, dashboards and the table of metrics anew, and let promtool check the rules
	$(BIN)/python -m infra.otel.metrics_table
	$(BIN)/python -m infra.observability
	@if command -v promtool >/dev/null; then cd infra/observability && promtool check rules rules.yaml && promtool test rules rules.test.yaml; \
	else echo "没有 promtool(Debian 包 prometheus),未检查规则。No promtool (Debian package prometheus): rules not checked." >&2; fi

fleet: protos ## write infra/fleet/tiers.csv and values/ anew from the division table
	$(BIN)/zongzhi fleet generate

# The image, the charts, and the clusters they are tested on.
DOCKER ?= docker
BASE ?= python:3.11-slim-bookworm
TAG ?= 0.1.0
BUILD_FLAGS ?=
DOCKERFILES := infra/docker/Dockerfile infra/docker/postgres.Dockerfile infra/docker/rabbitmq.Dockerfile
BUILD = $(DOCKER) build $(BUILD_FLAGS) --build-arg BASE=$(BASE)
KIND ?= $(shell command -v kind || echo .tools/bin/kind)
.PHONY: helm base image sbom charts-generate charts-golden charts-check charts-test cluster-test kind-up kind-test kind-down

helm: .venv/.ready ## Helm 4, Helm 3 and kubectl into .tools/bin, checked by SHA-256
	@$(BIN)/python -m infra.tools.get_helm

base: ## a base image out of Debian packages, where no image registry is reachable (root; then BASE=zongzhi-base:bookworm)
	DOCKER=$(DOCKER) infra/docker/local_base.sh zongzhi-base:bookworm

image: sbom ## the image of every role, and the stores' for test clusters (BASE=, TAG=, BUILD_FLAGS="--network host")
	$(BUILD) -f infra/docker/Dockerfile --build-arg VERSION=$(TAG) --build-arg REVISION=$$(git rev-parse HEAD) -t zongzhi:$(TAG) .
	$(BUILD) -f infra/docker/Dockerfile --build-arg VERSION=$(TAG)-before -t zongzhi:$(TAG)-before .
	$(BUILD) -f infra/docker/postgres.Dockerfile -t zongzhi-postgres:$(TAG) .
	$(BUILD) -f infra/docker/rabbitmq.Dockerfile -t zongzhi-rabbitmq:$(TAG) .

sbom: .venv/.ready ## what the image holds, as CycloneDX: .run/sbom/zongzhi-TAG.cdx.json
	@mkdir -p .run/sbom
	@$(BIN)/uv export --frozen --no-default-groups --no-emit-project --quiet -o .run/sbom/requirements.txt
	@$(BIN)/cyclonedx-py requirements .run/sbom/requirements.txt --pyproject pyproject.toml --sv 1.6 --of JSON --output-reproducible -o .run/sbom/zongzhi-$(TAG).cdx.json
	@echo "SBOM: .run/sbom/zongzhi-$(TAG).cdx.json" >&2

charts-generate: .venv/.ready ## schemas and README tables of the charts from their values.yaml
	$(BIN)/python -m infra.tools.charts

charts-golden: helm ## what every shape renders, written to charts/*/golden
	$(BIN)/python -m charts.tests.golden

charts-test: protos helm ## the charts' promises, looked up in every shape on Helm 3 and 4
	$(PYTEST) -n auto -q charts/tests

charts-check: charts-test .tools/checkov/.ready ## charts-test, hadolint, checkov: nothing failed, nothing skipped
	$(BIN)/hadolint $(DOCKERFILES)
	$(BIN)/python -m infra.tools.check_charts

.tools/checkov/.ready: | .venv/.ready
	@$(PYTHON) -m venv .tools/checkov && .tools/checkov/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30
	@touch $@

cluster-test: protos helm ## the charts on the cluster that KUBECONFIG names (IMAGE_LOAD= hands it a local image)
	@test -n "$$KUBECONFIG" || { echo "请设置 KUBECONFIG。 Set KUBECONFIG; infra/kind/README.md says how to get a cluster." >&2; exit 2; }
	IMAGE_TAG=$(TAG) $(PYTEST) -q -s -m cluster charts/tests/cluster

.tools/bin/kind:
	@command -v go >/dev/null || { echo "请安装 kind 或 Go。 Install kind, or Go to build it." >&2; exit 2; }
	@GOBIN=$(CURDIR)/.tools/bin go install sigs.k8s.io/kind@v0.33.0

kind-up: $(KIND) ## a cluster of three nodes in Docker (infra/kind)
	@mkdir -p .run
	$(KIND) create cluster --config infra/kind/cluster.yaml --kubeconfig .run/kind.conf

kind-test: ## make cluster-test on it
	KUBECONFIG=$(CURDIR)/.run/kind.conf IMAGE_LOAD="$(KIND) load docker-image --name zongzhi" $(MAKE) cluster-test

kind-down: ## remove it
	$(KIND) delete cluster --name zongzhi
