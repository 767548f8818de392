# syntax=docker/dockerfile:1
# Its C compiler builds mimalloc and ring.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# The dependencies first, on empty crates, so that a change of the code does not build them again.
COPY Cargo.toml Cargo.lock build.rs ./
COPY crates/hubspot-sandbox/Cargo.toml crates/hubspot-sandbox/Cargo.toml
COPY crates/pg-cluster/Cargo.toml crates/pg-cluster/Cargo.toml
RUN for crate in . crates/*; do \
        mkdir -p $crate/src && echo '//! Empty.' > $crate/src/lib.rs || exit 1; \
    done \
    && printf '//! Empty.\nfn main() {}\n' > src/main.rs \
    && cargo build --locked --release \
    && rm -rf src crates/*/src
COPY crates crates
COPY src src
COPY config config
COPY migrations migrations
COPY templates templates
COPY assets assets
# cargo goes by file times, and a copied file may be older than the empty crate.
RUN touch src/lib.rs src/main.rs crates/*/src/lib.rs && cargo build --locked --release --bin hubferry

FROM debian:bookworm-slim
# HubSpot's certificate is checked against the system's roots.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin hubferry
COPY --from=build /build/target/release/hubferry /usr/local/bin/hubferry
USER 10001:10001
WORKDIR /
# Inside a container, loopback is nobody's; publish the port where it should be reached.
ENV HUBFERRY_LISTEN=0.0.0.0:8080
EXPOSE 8080
# SIGTERM: stop accepting, stop leasing, let what is in flight finish.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["hubferry", "health"]
ENTRYPOINT ["hubferry"]
CMD ["serve"]
