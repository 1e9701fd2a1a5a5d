# Everything a newcomer, a developer and CI type. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := $(VENV)/lowest
NEWEST := $(VENV)/newest
# What a host's own versions of our dependencies decide: commands, hosts and every pair of servers.
OF_DEPENDENCIES := tests/scenarios/commands tests/transfer tests/migrations tests/scenarios/hosts/test_three_hosts.py \
	tests/scenarios/hosts/test_accepted.py tests/scenarios/matrix/test_pairs.py
JOBS ?= 6
FAULTS ?= 2000
CHAINS ?= 2
MINUTES ?=
COUNT ?= 10000
SEED ?=
SIZE ?= S
ROUTES ?=
REPEATS ?= 3
SERVERS ?= mysql-9.7 mariadb-11.8 postgresql-18
OTHER ?= python3.13
SECONDS ?= 600
ORDERS ?= 1000
TARGETS ?=
COUNTS ?=
WORKERS ?=
SIZES ?=
RATES ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-fast test-lowest test-newest test-python servers test-servers test-wheel lint format memory chaos galera scale stop model fuzz types routes bench passes wheel reference docs clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.app: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[app]"
	touch $@

$(VENV)/.dev: $(VENV)/.app
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[app,dev,postgresql,dask,storage]" hatchling
	touch $@

demo: $(VENV)/.app  ## Migrate a made-up old deployment into SQLite and show the receipt
	$(BIN)/python -m tests.support.demo

test test-fast: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.dev  ## Run the tests; installs MariaDB and PostgreSQL where they are absent
	tests/support/servers/install.sh
	@# Hundreds of processes are started; each would compile the app anew where Python may not keep what it compiled.
	$(BIN)/python -m compileall -q app migrations tests benchmarks
	@# What pytest makes of the tests is kept as well: else each worker would do that anew.
	$(BIN)/python -m pytest --collect-only --quiet >/dev/null
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: ARGS += --all
test-all: test  ## Run all values of every test, those that test leaves out too

test-fast: $(VENV)/.dev  ## Run what needs neither a server nor a whole command, in two minutes
	$(BIN)/python -m pytest -n $(JOBS) --fast $(ARGS)

$(LOWEST)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	@# The tools of the tests are today's; only what an app would install beside us is old.
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		uv pytest pytest-xdist hypothesis psutil jsonschema opentelemetry-sdk build hatchling
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[app,postgresql,dask,storage]"
	touch $@

test-lowest: $(LOWEST)/.made  ## Test commands, hosts and every pair of servers on the lowest versions allowed
	tests/support/servers/install.sh
	$(LOWEST)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(OF_DEPENDENCIES) $(or $(ARGS),--record lowest)

test-newest:  ## Test the same on the newest versions that an index has today, whatever constraints.txt says
	test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	@# Asked anew each time, and no constraint: what a host gets that installs today.
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
		-e ".[app,postgresql,dask,storage]" pytest pytest-xdist hypothesis psutil jsonschema opentelemetry-sdk build hatchling
	$(NEWEST)/bin/python -m pip list --format freeze --disable-pip-version-check --exclude-editable
	tests/support/servers/install.sh
	$(NEWEST)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(OF_DEPENDENCIES) $(or $(ARGS),--record newest)

$(VENV)/other/.made: pyproject.toml constraints.txt
	$(OTHER) -m venv --clear $(VENV)/other
	$(VENV)/other/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e ".[app,dev,postgresql,dask,storage]" hatchling
	touch $@

test-python: $(VENV)/other/.made  ## Run the tests on another Python than .venv has; OTHER=python3.13
	tests/support/servers/install.sh
	$(VENV)/other/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(or $(ARGS),--record $(notdir $(OTHER)))

servers:  ## Fetch MySQL 9.7, MariaDB 11.8 and PostgreSQL 18 into .servers/, installing none; SERVERS="name ..." for some
	tests/support/servers/fetch.sh $(SERVERS)

test-servers: $(VENV)/.dev servers  ## Run all tests that a server has to do with on each of these
	tests/support/servers/install.sh
	@failed=""; tested=""; for name in $(SERVERS); do \
		test -d .servers/$$name || { echo "SKIPPED: $$name, which could not be fetched"; continue; }; \
		echo "On $$name:"; tested="$$tested $$name"; \
		$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --all --servers $$name \
			$(or $(ARGS),--record $$name) \
			|| failed="$$failed $$name"; \
	done; test -n "$$tested" || { echo "FAILED: none of them is there"; exit 1; }; \
	test -z "$$failed" || { echo "FAILED on$$failed"; exit 1; }

test-wheel: $(VENV)/.dev  ## Test the newest wheel of dist/ in an environment that has only what it asks for
	$(PYTHON) -m venv --clear $(VENV)/wheel
	$(VENV)/wheel/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls -t dist/*.whl | head -n 1)"
	WHEEL_PYTHON=$(CURDIR)/$(VENV)/wheel/bin/python $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		tests/scenarios/hosts/test_wheel.py tests/scenarios/hosts/test_installation.py tests/scenarios/hosts/test_host.py

lint: $(VENV)/.dev  ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

memory: $(VENV)/.dev  ## Print peak memory and time for 10,000 and 100,000 posts
	$(BIN)/python -m benchmarks.memory

chaos: $(VENV)/.dev  ## Let every command meet every fault at every step, on each server; FAULTS=n, SEED=n, CHAINS=n at once, MINUTES=n
	tests/support/servers/install.sh
	$(BIN)/python -m pytest -n $(JOBS) --every-kill tests/scenarios/runs/test_kill.py tests/transfer/cutover/test_cutover.py
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --seed $(or $(SEED),1) --jobs $(CHAINS) $(if $(MINUTES),--minutes $(MINUTES))

galera: $(VENV)/.dev  ## Meet a Galera cluster of three nodes: refused, read from while nodes die, migrated with one node
	tests/support/servers/install.sh
	$(BIN)/python -m pytest --galera -rs tests/scenarios/matrix/test_galera.py

scale: $(VENV)/.dev  ## Measure what a row, a table and a round trip cost on each route; COUNTS="10000 100000 1000000"
	tests/support/servers/install.sh
	$(BIN)/python -m benchmarks.scale $(if $(COUNTS),--counts $(COUNTS))

stop: $(VENV)/.dev  ## Measure for how long writers wait while a live database is brought to head; SIZES="XS S L", RATES="10 100 1000"
	tests/support/servers/install.sh
	$(BIN)/python -m benchmarks.stop $(if $(SIZES),--sizes $(SIZES)) $(if $(RATES),--rates $(RATES))

model: $(VENV)/.dev  ## Try orders of runs, a rollback, writes, kills and lost locks over the real journal, and count them; ORDERS=n
	ORDERS=$(ORDERS) $(BIN)/python -m pytest -n $(JOBS) --every-kill -rP tests/transfer/cutover/test_cutover.py

fuzz: $(VENV)/.dev  ## Try each property with 1,000 random examples, then each reader for ten minutes; SECONDS=n, TARGETS="name ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[fuzz]" \
		|| echo "WITHOUT atheris and pglast: no wheel for this Python, or the index is out of reach" >&2
	$(BIN)/python -m pytest -n $(JOBS) --fast --hypothesis-profile=fuzz -m hypothesis $(ARGS)
	nice -n 15 $(BIN)/python -m tests.fuzz $(SECONDS) $(TARGETS)

types: $(VENV)/.dev  ## Carry every column type by every route and write docs/types.md anew
	tests/support/servers/install.sh
	$(BIN)/python -m tests.support.types

routes: $(VENV)/.dev  ## Carry 10,000 random databases by random routes; COUNT=n for another number, SEED=n for the same ones
	tests/support/servers/install.sh
	$(BIN)/python -m tests.support.types.wander $(COUNT) $(SEED)

ifeq ($(origin JOBS),command line)
bench: $(VENV)/.dev
	tests/support/servers/install.sh
	$(BIN)/python -m benchmarks.divided --size "$(SIZE)" --jobs "$(JOBS)" $(if $(WORKERS),--workers "$(WORKERS)") $(if $(ROUTES),--routes "$(ROUTES)")
else
bench: $(VENV)/.dev  ## Compare with other tools, in turns; SIZE=L or M, ROUTES="name ..." for some, REPEATS=n; JOBS=1,2: how work divides
	tests/support/servers/install.sh
	benchmarks/install_peers.sh $(VENV)/peers
	SIZE="$(SIZE)" ROUTES="$(ROUTES)" REPEATS="$(REPEATS)" $(BIN)/python -m benchmarks.speed
endif

passes: $(VENV)/.dev  ## Count how often each kind of run reads, encodes, parses and hashes a row
	tests/support/servers/install.sh
	$(BIN)/python -m benchmarks.passes

wheel: $(VENV)/.dev  ## Build the extension's wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

reference: $(VENV)/.dev  ## Write the handbook's reference anew from the code, and its figures from docs/speed.md
	$(BIN)/python -m handbook.reference

$(VENV)/docs/.made: pyproject.toml constraints.txt
	test -x $(VENV)/docs/bin/python || $(PYTHON) -m venv $(VENV)/docs
	@# An environment of its own: nothing else here needs these tools. The extra asks for them and for the extension.
	$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

docs: export NO_MKDOCS_2_WARNING := 1

docs: $(VENV)/docs/.made  ## Build the handbook into build/handbook; a link that leads nowhere is an error
	$(VENV)/docs/bin/mkdocs build --strict --quiet

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .servers .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
