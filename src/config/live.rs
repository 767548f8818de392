//! The start values of the settings that can change while the service runs.

use std::collections::BTreeMap;
use std::time::Duration;

use figment::Figment;
use serde::de::DeserializeOwned;

use super::{Config, ConfigError, invalid};
use crate::mapping::Mapping;
use crate::settings::{Base, Bounds, Given, SPECS, Source, Values};
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
        if self.live.enabled && !bounds.can_send {
            self.hubspot()?;
        }
        self.check_live(&bounds)?;
        Ok(Base::new(self.values(), &Values::default(), self.sources.clone(), bounds))
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
        let timeout = self.live.timeout.as_secs().max(1);
        if i64::try_from(timeout).unwrap_or(i64::MAX) > bounds.longest_timeout {
            let least = timeout.saturating_add(worker::SETTLE_MARGIN.as_secs() + 1);
            return Err(invalid(
                "worker.lease_seconds",
                format!(
                    "must be at least {least}: a call (hubspot.timeout_seconds) and 5 seconds for its settling must end before the lease does"
                ),
            ));
        }
        let values = serde_json::to_value(&self.live).unwrap_or_default();
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
        self.live.clone()
    }
}

/// The settings file with the environment, as a source of start values.
pub(super) struct Start<'a>(pub(super) &'a Figment);

impl Given for Start<'_> {
    type Error = figment::Error;

    fn value<T: DeserializeOwned>(&self, key: &str) -> Result<T, figment::Error> {
        self.0.extract_inner(key)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULTS, Environment};

    /// The comment above each key of the default settings, on one line.
    fn comments() -> BTreeMap<String, String> {
        let (mut section, mut comment, mut comments) =
            (String::new(), String::new(), BTreeMap::new());
        for line in DEFAULTS.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.to_owned();
            } else if let Some(words) = line.strip_prefix("# ") {
                comment.push_str(words);
                comment.push(' ');
                continue;
            } else if let Some((key, _)) = line.split_once(" = ") {
                comments.insert(format!("{section}.{key}"), comment.trim().to_owned());
            }
            comment.clear();
        }
        comments
    }

    #[test]
    fn the_default_file_repeats_each_declaration() {
        let defaults = Config::load(None, &Environment::default()).unwrap();
        assert_eq!(defaults.values(), Values::default(), "the values");
        let comments = comments();
        for spec in &SPECS {
            let comment = comments.get(spec.key).unwrap_or_else(|| panic!("no {}", spec.key));
            let mut wanted = format!("{} (live).", spec.description);
            let time = spec.unit.filter(|unit| ["milliseconds", "seconds", "hours"].contains(unit));
            if let Some(unit) = time {
                wanted = format!("{wanted} In {unit}.");
            }
            assert!(comment.starts_with(&wanted), "{}: {comment}\nmust begin: {wanted}", spec.key);
            let named = spec.variable.is_none_or(|name| comment.ends_with(&format!(". {name}")));
            assert!(named, "{}: {comment}\nmust end: {:?}", spec.key, spec.variable);
        }
        let marked = comments.iter().filter(|(_, comment)| comment.contains("(live)"));
        let marked: Vec<&String> = marked.map(|(key, _)| key).collect();
        assert_eq!(marked.len(), SPECS.len(), "{marked:?}");
    }

    #[test]
    fn a_key_that_no_setting_has_is_refused_with_its_place() {
        let set = |name: &str| {
            let environment = Environment::of(&[(name, "1")]);
            Config::load(None, &environment).unwrap_err().to_string()
        };
        for (name, part) in [
            (
                "HUBFERRY__RETRY__FACTR",
                "found `factr`, expected `one of `delay_ms`, `factor`, `max_retries`",
            ),
            ("HUBFERRY__WORKER__ENABELD", "`count`, `lease_seconds`"),
            ("HUBFERRY__WORKER__ENABELD", "`enabled`"),
            ("HUBFERRY__WROKER__COUNT", "found `wroker`, expected `one of `server`, `database`"),
        ] {
            let said = set(name);
            assert!(said.contains(part) && said.contains(name), "{name}: {said}");
        }
        let said = set("HUBFERRY__RETRY");
        assert!(said.contains("retry") && said.contains("HUBFERRY__RETRY"), "{said}");
        let many = Environment::of(&[("HUBSPOT_MAX_RETRIES", "many")]);
        let said = Config::load(None, &many).unwrap_err().to_string();
        assert!(
            said.contains("HUBSPOT_MAX_RETRIES") && said.contains("retry.max_retries"),
            "{said}"
        );
    }
}
