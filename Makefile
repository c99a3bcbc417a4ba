# Targets are thin: each calls one script that CI and people use alike. `make help` lists them.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
export PYTHONPATH := operator:e2e:tests
# Where it is set, each process that a test starts compiles all of Ringfence anew: a quarter of its start.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## make .venv with the locked tools

$(VENV)/.done: requirements/dev.txt pyproject.toml
	@echo "making .venv with the locked tools (half a minute, once)" >&2
	@python3 -m venv $(VENV)
	@$(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(VENV)/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock: setup ## remake requirements/*.txt from pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras --allow-unsafe -o requirements/runtime.txt pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras --allow-unsafe --extra dev -c requirements/runtime.txt -o requirements/dev.txt pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras --allow-unsafe -c requirements/dev.txt -o requirements/pictures.txt requirements/pictures.in
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | $(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --strip-extras -o requirements/build.txt -

lint: setup ## ruff, mypy --strict, import contracts
	$(VENV)/bin/ruff check operator tests e2e tools
	$(VENV)/bin/ruff format --check operator tests e2e tools
	$(VENV)/bin/mypy operator/ringfence tools e2e tests
	$(VENV)/bin/lint-imports

fmt: setup ## format the code
	$(VENV)/bin/ruff check --fix -q operator tests e2e tools; $(VENV)/bin/ruff format operator tests e2e tools

generate: setup ## write what is generated: CRDs, their chart, the API reference, docs/enforcement.md
	$(PY) -m tools.generate

check-generated: setup ## fail when a generated file is stale, naming it
	$(PY) -m tools.generate --check

PICTURES := build/pictures
WITH_PICTURES := PYTHONPATH=$(PYTHONPATH):$(PICTURES) $(PY)

$(PICTURES)/.done: requirements/pictures.txt $(VENV)/.done
	@echo "fetching what draws into $(PICTURES) (half a minute, once)" >&2
	@rm -rf $(PICTURES)
	@$(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes --target $(PICTURES) -r requirements/pictures.txt
	@touch $@

samples: setup ## what the dashboards show of a Ringfence that is attacked, into docs/pictures/samples.txt (needs root; a quarter of an hour)
	@$(PY) -m tools.panel_pictures.record $(ARGS)

pictures: $(PICTURES)/.done ## draw the dashboards from docs/pictures/samples.txt (no cluster); CI only looks whether they are stale
	@$(WITH_PICTURES) -m tools.panel_pictures

cast: $(PICTURES)/.done ## record `make demo` into docs/demo.cast, and its picture (needs root)
	@$(WITH_PICTURES) -m tools.demo_cast $(ARGS)

image: setup ## build the container image (an OCI archive in the cache; printed)
	@$(PY) -m harness.image

REGISTRY ?= localhost:5000/ringfence
DOWNLOADS ?= http://localhost:8000
RELEASE ?= build/release

release: setup ## make a release of what is committed into RELEASE: REGISTRY=HOST/PREFIX DOWNLOADS=URL, and a key (docs/how-to/make-a-release.md)
	@$(PY) -m tools.release build $(RELEASE) --registry $(REGISTRY) --downloads $(DOWNLOADS) $(ARGS)

release-verify: setup ## check the release in RELEASE without a network (ARGS="--key FILE": by a key that you trust)
	@$(PY) -m tools.release verify $(RELEASE) $(ARGS)

release-push: setup ## push the release in RELEASE to REGISTRY
	@$(PY) -m tools.release push $(RELEASE) --registry $(REGISTRY)

test-unit: setup ## tests that need no cluster
	$(PY) -m pytest tests/unit -n 2

test-chart: setup ## the chart: helm lint, kubeconform, kube-score, rights; Pod Security and the floor on a real API server
	$(PY) -m pytest tests/chart -n 3

test-monitoring: setup ## metrics' names, every alert (fires, does not), monitors and dashboards: promtool and helm, no cluster
	$(PY) -m pytest tests/monitoring -n 2

test-gateway: setup ## the egress gateway: the real Envoy in a network namespace with a pretend internet (needs root, no cluster)
	$(PY) -m pytest tests/gateway -n 2 --dist loadfile

test-api: setup ## the CRDs against a real API server (the built-in cluster without its node)
	$(PY) -m pytest tests/api --ignore tests/api/controller -n 2 --dist loadfile
	$(PY) -m pytest tests/api/controller -n 3 --dist loadfile --no-loadscope-reorder  # apart: its controllers take up all agents

test-versions: setup ## the CRDs, the controller, floor and guards against older API servers (VERSIONS="1.31 1.33"); builds each once; hours, not in CI
	@for version in $(or $(VERSIONS),1.31 1.33); do RINGFENCE_KUBERNETES=$$version $(PY) -m tools.versions || exit 1; done

test-cert-manager: setup ## the certificate of admission from cert-manager, on a cluster of its own (needs root; builds cert-manager once; not in CI)
	$(PY) -m pytest e2e/certificates

test-release: setup ## a release by krew, cosign, operator-verify and an emulator of arm64 (needs root; builds them once, some minutes; not in CI)
	$(PY) -m pytest e2e/consumers

demo: ## see it work: cluster, charts, examples, and an account. CONTEXT=kind-... for another cluster; ARGS=--json
	@python3 -m demo $(if $(CONTEXT),--context $(CONTEXT)) $(ARGS)

demo-down: ## remove what the demo made: the built-in cluster, or Ringfence and the examples from CONTEXT
	@python3 -m demo --remove $(if $(CONTEXT),--context $(CONTEXT))

cluster: ## bring the built-in cluster up (idempotent; the first time it is built)
	@python3 -m cluster up

cluster-down: ## remove the built-in cluster without a trace
	@python3 -m cluster down

test-e2e: setup ## the fence against real pods and packets, on a cluster of its own (needs root)
	$(PY) -m pytest e2e/suites -n 3 --no-loadscope-reorder

test: lint check-generated test-unit test-chart test-monitoring test-gateway test-api test-e2e ## everything: what CI runs (needs root; builds its cluster the first time)

bench: setup ## measure: medians of one run, as JSON (ARGS="--help" lists the options)
	@$(PY) -m bench $(ARGS)

mutate: setup ## change the product at one point and see whether the unit tests notice; a sample, minutes (ARGS="--help")
	@$(PY) -m tools.mutate $(ARGS)

mutate-guards: setup ## take one rule out of the guards or the floor and see whether a test on a real API server notices (ARGS="--help")
	@$(PY) -m tools.mutate_guards $(ARGS)

property: setup ## the arithmetic of sets against a model that looks at each member: a million cases (ARGS="--help")
	@$(PY) -m tools.property $(ARGS)

fuzz: setup ## damaged reviews and manifests, for some minutes (ARGS="--minutes 60")
	@$(PY) -m tools.fuzz $(ARGS)

catalogue: setup ## the catalogue's pack on the built-in cluster, with Ringfence and without: writes its results
	CATALOGUE_RESULTS=e2e/catalogue/results $(PY) -m pytest tests/chart/test_catalogue.py
	$(PY) -m tools.generate

.PHONY: release release-verify release-push
.PHONY: samples pictures cast
.PHONY: test-cert-manager test-release test-versions property fuzz catalogue mutate-guards
.PHONY: test mutate demo demo-down cluster cluster-down test-e2e bench
.PHONY: image test-gateway test-chart test-monitoring help setup lock lint fmt generate check-generated test-unit test-api
