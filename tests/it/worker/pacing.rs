//! Pacing: what a process sends at once, and what it spreads over the window.

use std::time::{Duration, Instant};

use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars};
use hubferry::portals::{Limits, Permits};
use tokio_util::sync::CancellationToken;

use crate::support::{Setup, World};

/// Permits with the quota of a new installation, 100 calls in ten seconds, for calls that are never made.
async fn permits(world: &World) -> Permits {
    let limits = Limits { per_window: 100, per_day: 250_000, grows: false };
    let setup = Setup { limits, ..Setup::default() };
    let client = Client::new(hubspot::Settings {
        api_url: world.hubspot_url.clone(),
        min_tls: hubspot::client::Tls::V1_3,
        version: setup.version.parse().unwrap(),
        token: "unused".to_owned().into(),
        timeout: setup.timeout,
    });
    let live = setup.live(&world.queue, &Mapping::builtin(&Vars::default()).unwrap());
    Permits::new(
        world.queue.clone(),
        client.unwrap(),
        live,
        false,
        "pacing",
        CancellationToken::new(),
    )
}

/// Two workers see the same event as due: one leases it, the other gives its permit back.
#[tokio::test]
async fn a_permit_that_is_given_back_costs_the_next_one_nothing() {
    let world = World::new().await;
    let permits = permits(&world).await;
    let started = Instant::now();
    for _ in 0..200 {
        let permit = permits.acquire(Duration::from_secs(1)).await.unwrap();
        permits.give_back(permit).await;
    }
    // If turns were lost, each beyond the burst would take an eighth of a second: 22 seconds.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn twenty_permits_in_an_idle_window_are_given_at_once() {
    let world = World::new().await;
    let permits = permits(&world).await;
    let started = Instant::now();
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(permits.acquire(Duration::from_secs(1)).await.unwrap());
    }
    // Spread over the window they would take two seconds.
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    for permit in held {
        permits.give_back(permit).await;
    }
}
