//! The start values of the settings that can change while the service runs.

use std::collections::BTreeMap;
use std::time::Duration;

use figment::Figment;

use super::{Config, ConfigError, Environment, invalid};
use crate::mapping::Mapping;
use crate::settings::{Base, Bounds, SPECS, Source, Values};
use crate::worker;

impl Config {
    /// Returns the start values, checked against the mapping. `sends` says whether this process
    /// runs workers. Only workers need a token, so a process without them does not require one.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn base(&self, mapping: &Mapping, sends: bool) -> Result<Base, ConfigError> {
        let bounds = Bounds {
            event_types: Some(mapping.event_types().into_iter().collect()),
            can_send: !sends || self.hubspot.api_key.is_some(),
            ..self.bounds()
        };
        if self.worker.enabled && !bounds.can_send {
            self.hubspot()?;
        }
        self.check_live(&bounds)?;
        let defaults = Self::load(None, &Environment::default())?.values();
        Ok(Base::new(self.values(), &defaults, self.sources.clone(), bounds))
    }

    /// Returns the settings that cannot change while the process runs.
    #[must_use]
    pub fn fixed(&self) -> worker::Fixed {
        worker::Fixed {
            lease: Duration::from_secs(self.worker.lease_seconds),
            namespace: self.mapping.namespace.clone().filter(|n| !n.is_empty()),
            learn_limits: self.hubspot.learn_limits,
        }
    }

    /// Returns the longest timeout that the lease allows. The other bounds need more context and
    /// are set later.
    pub(super) fn bounds(&self) -> Bounds {
        let lease = Duration::from_secs(self.worker.lease_seconds);
        let longest = lease.saturating_sub(worker::SETTLE_MARGIN).as_secs().saturating_sub(1);
        Bounds { longest_timeout: i64::try_from(longest).unwrap_or(i64::MAX), ..Bounds::default() }
    }

    /// Runs the checks that also apply to stored values.
    pub(super) fn check_live(&self, bounds: &Bounds) -> Result<(), ConfigError> {
        let timeout = self.hubspot.timeout_seconds.max(1);
        if i64::try_from(timeout).unwrap_or(i64::MAX) > bounds.longest_timeout {
            let least = timeout.saturating_add(worker::SETTLE_MARGIN.as_secs() + 1);
            return Err(invalid(
                "worker.lease_seconds",
                format!(
                    "must be at least {least}: a call (hubspot.timeout_seconds) and 5 seconds for its settling must end before the lease does"
                ),
            ));
        }
        let values = serde_json::to_value(self.values()).unwrap_or_default();
        for spec in &SPECS {
            let Some(wrong) = spec.check(&values[spec.key], bounds).into_iter().next() else {
                continue;
            };
            let member = wrong.member.map(|name| format!("`{name}` ")).unwrap_or_default();
            let name = spec.variable.map(|name| format!(" ({name})")).unwrap_or_default();
            return Err(invalid(spec.key, format!("{member}{}{name}", wrong.detail)));
        }
        Ok(())
    }

    /// Returns the start values.
    #[must_use]
    pub fn values(&self) -> Values {
        Values {
            enabled: self.worker.enabled,
            frequency_ms: self.worker.frequency_ms,
            wait_create_hours: self.worker.wait_create_hours,
            retry_delay_ms: self.retry.delay_ms,
            retry_factor: self.retry.factor,
            max_retries: self.retry.max_retries,
            retry_jitter: self.retry.jitter,
            retry_rejected: self.retry.rejected,
            limit_per_10s: self.hubspot.limit_per_10s,
            limit_per_day: self.hubspot.limit_per_day,
            timeout: Duration::from_secs(self.hubspot.timeout_seconds),
            breaker_threshold: self.breaker.threshold,
            breaker_timeout_seconds: self.breaker.timeout_seconds,
            on_delete: self.adopted.on_delete,
            on_erase: self.adopted.on_erase,
            priorities: self.ingest.priorities.clone(),
        }
    }
}

/// Returns where each changeable setting comes from. Compiled-in ones are left out.
pub(super) fn sources(figment: &Figment) -> BTreeMap<&'static str, Source> {
    let source = |key: &str| {
        let value = figment.find_value(key).ok()?;
        // The source of a map is the last one that added to it.
        let of_members = value.as_dict().and_then(|dict| {
            dict.values().filter_map(|v| source_of(figment, v)).max_by_key(|s| *s as u8)
        });
        of_members.or_else(|| source_of(figment, &value))
    };
    SPECS.iter().filter_map(|spec| Some((spec.key, source(spec.key)?))).collect()
}

fn source_of(figment: &Figment, value: &figment::value::Value) -> Option<Source> {
    let metadata = figment.get_metadata(value.tag())?;
    if metadata.name.starts_with(super::environment::NAME) {
        Some(Source::Environment)
    } else {
        metadata.source.as_ref()?.file_path().map(|_| Source::File)
    }
}
