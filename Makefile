# One word for each thing that a person does here. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo

# Arguments for `hubferry demo`, e.g. DEMO_ARGS=--exit
DEMO_ARGS ?=
# Seeds of the soak, e.g. SEEDS=1,2,3; without, SOAK_COUNT fresh ones
SEEDS ?=
SOAK_COUNT ?= 5
# How many fresh seeds of the simulation
COUNT ?= 1000
# Arguments for the benchmark of the pages, e.g. BENCH_ARGS='--rows 100000 --records 20000'
BENCH_ARGS ?=
# Arguments for `cargo test`, e.g. TEST_ARGS='--test it tidy'
TEST_ARGS ?=
# Tests wait more than they compute: on a small machine, twice as many at once as it has cores
export RUST_TEST_THREADS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? 2 * n : n)))

.DEFAULT_GOAL := help
.PHONY: help demo test soak simulate sabotage bench bench-pages bench-backfill bounds schema screenshots check deny postgres chromium test-tools image

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The development profile: the first build takes about half the time of a release build, and
# `make test` then finds every dependency built.
demo: postgres ## Run everything on this machine: Postgres, a simulated HubSpot, the server, sample events
	@$(CARGO) run --locked --bin hubferry -- demo $(DEMO_ARGS)

test: postgres chromium test-tools ## Run every test, on a private Postgres or the one in DATABASE_URL
	@$(CARGO) test --locked --workspace $(TEST_ARGS)

soak: postgres ## Thousands of records with everything going wrong: SEEDS=1,2,3, or SOAK_COUNT fresh seeds
	@HUBFERRY_SOAK_SEEDS="$(SEEDS)" HUBFERRY_SOAK_COUNT="$(SOAK_COUNT)" \
	    $(CARGO) test --locked --test it soak:: -- --nocapture

simulate: postgres ## The engine under random schedules: SEEDS=7,8, or COUNT fresh ones
	@HUBFERRY_SIMULATION_SEEDS="$(SEEDS)" HUBFERRY_SIMULATION_COUNT="$(COUNT)" \
	    $(CARGO) test --locked --test it simulation:: -- --nocapture

sabotage: postgres ## Break each promise on purpose, and show that the simulation finds it (a minute each)
	@$(CARGO) run --locked --example sabotage

bench: postgres ## How fast everything is, as `hubferry bench` says it; BENCH_ARGS='ingest engine --runs 3'
	@$(CARGO) run --locked --release --bin hubferry -- bench $(BENCH_ARGS)

schema: postgres ## Write migrations/current.sql: what the migrations make of a database
	@HUBFERRY_WRITE_SCHEMA=1 $(CARGO) test --locked --test it migrations::current_sql

screenshots: postgres chromium ## Draw the pictures of docs/images anew
	@HUBFERRY_REQUIRE_BROWSER=1 HUBFERRY_SCREENSHOTS=1 $(CARGO) test --locked --test it screenshots::

bench-pages: postgres ## How fast the admin's pages are with a million rows, alone and for 300 people at once
	@$(CARGO) run --locked --release --example bench_pages -- $(BENCH_ARGS)

bench-backfill: postgres ## How long live events take while a hundred thousand old ones are sent
	@$(CARGO) build --locked --release --bin hubferry
	@$(CARGO) run --locked --release --example bench_backfill -- $(BENCH_ARGS)

bounds: postgres ## How much hostile clients, locked records and a failover cost, as the tests measure it
	@$(CARGO) test --locked --profile bounds --test it -- --nocapture --test-threads 1 \
	    hostile::memory hostile::slow hostile::abandoned intake::a_record chaos::failover::an_address

check: ## Format, lints, docs, licences: all that needs no test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	@$(MAKE) --no-print-directory deny

deny: # Licences, bans and sources, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	    $(CARGO) deny --locked check bans licenses sources; \
	else \
	    echo "cargo-deny is not installed (cargo install --locked cargo-deny): licences not checked"; \
	fi
	@if $(CARGO) machete --version >/dev/null 2>&1; then $(CARGO) machete; fi

postgres: # A PostgreSQL server of version 14 or newer, installed only where none is found
	@scripts/install-postgres.sh

chromium: # A browser for the tests of the dashboard, installed only where none is found and one can be
	@scripts/install-chromium.sh

test-tools: # What some tests need, got only where it is not found and can be had: a pooler, a tester of APIs, wrong clocks, generators of API clients
	@scripts/install-pgbouncer.sh
	@scripts/install-schemathesis.sh
	@scripts/install-faketime.sh
	@scripts/install-openapi-tools.sh

image: ## Build the container image
	docker build -t hubferry .
