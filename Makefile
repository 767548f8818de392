# The tasks of developers. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo

# Arguments for `hubferry demo`, e.g. DEMO_ARGS=--exit
DEMO_ARGS ?=
# Seeds of the soak and the simulation, e.g. SEEDS=1,2,3. Without SEEDS, the soak makes SOAK_COUNT new
# seeds.
SEEDS ?=
SOAK_COUNT ?= 5
# Without SEEDS, the simulation makes COUNT new seeds.
COUNT ?= 1000
# Arguments for the benchmarks, e.g. BENCH_ARGS='--rows 100000 --records 20000'
BENCH_ARGS ?=
# Arguments for `cargo test`, e.g. TEST_ARGS='--test it tidy'
TEST_ARGS ?=
# Tests wait more than they compute. So a machine with fewer than four cores runs two tests per core.
export RUST_TEST_THREADS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? 2 * n : n)))

.DEFAULT_GOAL := help
.PHONY: help demo test soak simulate sabotage bench bench-pages bench-backfill bounds schema screenshots check deny postgres chromium test-tools image

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The demo uses the development profile: its first build takes about half the time of a release build,
# and `make test` can reuse the dependencies.
demo: postgres ## Run everything on this machine: Postgres, a simulated HubSpot, the server, sample events
	@$(CARGO) run --locked --bin hubferry -- demo $(DEMO_ARGS)

test: postgres chromium test-tools ## Run every test, in a private Postgres or in the one that DATABASE_URL names
	@$(CARGO) test --locked --workspace $(TEST_ARGS)

soak: postgres ## Send thousands of records with every kind of fault at once: SEEDS=1,2,3, or SOAK_COUNT new seeds
	@HUBFERRY_SOAK_SEEDS="$(SEEDS)" HUBFERRY_SOAK_COUNT="$(SOAK_COUNT)" \
	    $(CARGO) test --locked --test it soak:: -- --nocapture

simulate: postgres ## Run the engine under random schedules: SEEDS=7,8, or COUNT new seeds
	@HUBFERRY_SIMULATION_SEEDS="$(SEEDS)" HUBFERRY_SIMULATION_COUNT="$(COUNT)" \
	    $(CARGO) test --locked --test it simulation:: -- --nocapture

sabotage: postgres ## Break each promise on purpose, and check that a test finds it (about a minute each)
	@$(CARGO) run --locked --example sabotage

bench: postgres ## Measure how fast hubferry is, with `hubferry bench`: BENCH_ARGS='ingest engine --runs 3'
	@$(CARGO) run --locked --release --bin hubferry -- bench $(BENCH_ARGS)

schema: postgres ## Write migrations/current.sql, the schema that the migrations result in
	@HUBFERRY_WRITE_SCHEMA=1 $(CARGO) test --locked --test it migrations::current_sql

screenshots: postgres chromium ## Take the pictures in docs/images again
	@HUBFERRY_REQUIRE_BROWSER=1 HUBFERRY_SCREENSHOTS=1 $(CARGO) test --locked --test it screenshots::

bench-pages: postgres ## Measure the dashboard with a million rows, alone and with 300 people at once
	@$(CARGO) run --locked --release --example bench_pages -- $(BENCH_ARGS)

bench-backfill: postgres ## Measure live events during an import of a hundred thousand old ones
	@$(CARGO) build --locked --release --bin hubferry
	@$(CARGO) run --locked --release --example bench_backfill -- $(BENCH_ARGS)

bounds: postgres ## Measure what hostile clients, locked records and a failover cost
	@$(CARGO) test --locked --profile bounds --test it -- --nocapture --test-threads 1 \
	    hostile::memory hostile::slow hostile::abandoned intake::a_record chaos::failover::an_address

check: ## Check format, lints, docs and licences, without tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	@$(MAKE) --no-print-directory deny

deny: # Check licences, bans and sources if cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	    $(CARGO) deny --locked check bans licenses sources; \
	else \
	    echo "cargo-deny is not installed (cargo install --locked cargo-deny): licences not checked"; \
	fi
	@if $(CARGO) machete --version >/dev/null 2>&1; then $(CARGO) machete; fi

postgres: # Find or install a PostgreSQL server, version 14 or newer
	@scripts/install-postgres.sh

chromium: # Find or install Chromium for the tests of the dashboard, if possible
	@scripts/install-chromium.sh

test-tools: # Find or install PgBouncer, Schemathesis, libfaketime and the OpenAPI tools for some tests, if possible
	@scripts/install-pgbouncer.sh
	@scripts/install-schemathesis.sh
	@scripts/install-faketime.sh
	@scripts/install-openapi-tools.sh

image: ## Build the container image
	docker build -t hubferry .
