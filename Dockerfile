# syntax=docker/dockerfile:1
# This image contains the C compiler that mimalloc and ring need.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# Build the dependencies first, with empty crates, so that a change of the code does not rebuild them.
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
# cargo compares file times, and a copied file may be older than the empty crate. So touch the files.
RUN touch src/lib.rs src/main.rs crates/*/src/lib.rs && cargo build --locked --release --bin hubferry

FROM debian:bookworm-slim
# hubferry checks HubSpot's certificate against the system's CA certificates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin hubferry
COPY --from=build /build/target/release/hubferry /usr/local/bin/hubferry
USER 10001:10001
WORKDIR /
# Nobody outside the container can reach loopback, so listen on all addresses. Publish the port as needed.
ENV HUBFERRY_LISTEN=0.0.0.0:8080
EXPOSE 8080
# On SIGTERM, hubferry stops accepting events and leasing records, and lets running calls end.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["hubferry", "health"]
ENTRYPOINT ["hubferry"]
CMD ["serve"]
