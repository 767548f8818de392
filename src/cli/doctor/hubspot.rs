//! Checks HubSpot: whether the token is valid and may read, whether the account is set up, and how
//! many calls are left.

use super::{Report, Verdict};
use crate::config::Config;
use crate::hubspot::client::{Quota, Sender};
use crate::hubspot::paths::Version;
use crate::hubspot::setup::{Finding, State, setup};
use crate::hubspot::{Class, Failure, account, batch};
use crate::mapping::Mapping;

const AREA: &str = "hubspot";
/// A record that hardly exists: whether it does is not what is asked.
const NOBODY: &str = "1";

/// What is looked at.
pub(super) struct Look<'a> {
    pub(super) version: Version,
    pub(super) mapping: &'a Mapping,
    pub(super) config: &'a Config,
    /// The account that the links were made in.
    pub(super) remembered: Option<i64>,
}

impl Look<'_> {
    pub(super) async fn run(&self, sender: &impl Sender, report: &mut Report) {
        let account = match account::details(sender, &self.version).await {
            Ok(account) => account,
            Err(failure) => {
                let name = if failure.class == Class::Unavailable { "reachable" } else { "token" };
                refused(report, name, &failure);
                // Without it every further call would say the same.
                if matches!(
                    failure.class,
                    Class::Unavailable | Class::Unauthorized | Class::OauthTerminal
                ) {
                    return;
                }
                return self.beyond(sender, report).await;
            }
        };
        let id = account.id;
        match self.remembered {
            Some(remembered) if remembered != id => {
                let detail =
                    format!("the token opens account {id}, the links were made in {remembered}");
                let way_out = "give the token of that account; nothing is sent to another one";
                report.problem(AREA, "token", detail, way_out);
            }
            Some(_) => report.ok(AREA, "token", format!("account {id}, as remembered")),
            None => report.ok(AREA, "token", format!("account {id}, {}", account.time_zone)),
        }
        self.beyond(sender, report).await;
    }

    async fn beyond(&self, sender: &impl Sender, report: &mut Report) {
        let (mut quota, mut denied) = (Quota::default(), false);
        for object in self.mapping.objects() {
            let name = format!("read {}", object.plural);
            let ids = [NOBODY.to_owned()];
            let mut call = batch::read(&self.version, &object.plural, None, &ids, &[]);
            call.sync_type = Some(object.sync_type.clone());
            let answer = sender.send(call).await;
            quota.window = answer.quota.window.or(quota.window);
            quota.day = answer.quota.day.or(quota.day);
            match answer.result {
                Err(failure) if failure.class != Class::NotFound => {
                    denied |= failure.class == Class::Forbidden;
                    refused(report, &name, &failure);
                }
                Ok(_) | Err(_) => {
                    report.ok(
                        AREA,
                        name,
                        "reading is allowed; only a write shows whether writing is",
                    );
                }
            }
        }
        // The schema is behind the same scopes.
        if !denied {
            match setup(sender, &self.version, self.mapping, true).await {
                Ok(findings) => prepared(report, &findings),
                Err(failure) => refused(report, "set up", &failure),
            }
        }
        self.quota(report, quota);
    }

    fn quota(&self, report: &mut Report, quota: Quota) {
        let settings = self.config.values();
        match quota.window {
            Some((limit, _))
                if limit < i32::try_from(settings.limit_per_10s).unwrap_or(i32::MAX) =>
            {
                let detail = format!(
                    "HubSpot allows {limit} calls in ten seconds, hubspot.limit_per_10s is {}",
                    settings.limit_per_10s
                );
                let way_out = "the smaller limit applies; set hubspot.limit_per_10s to it";
                report.warning(AREA, "window", detail, way_out);
            }
            Some((limit, left)) => {
                report.ok(
                    AREA,
                    "window",
                    format!("{left} of {limit} calls left in these ten seconds"),
                );
            }
            None => report.ok(AREA, "window", "the replies contain no limit; the settings apply"),
        }
        match quota.day {
            Some((limit, left)) if left < limit / 20 => {
                let detail = format!("{left} of {limit} calls left today");
                let way_out = "rows of high priority are sent first; the rest waits until midnight in the account's time zone";
                report.warning(AREA, "day", detail, way_out);
            }
            Some((limit, left)) => {
                report.ok(AREA, "day", format!("{left} of {limit} calls left today"));
            }
            None => {}
        }
    }
}

fn refused(report: &mut Report, name: &str, failure: &Failure) {
    let detail = format!("{}: {}", failure.code, failure.message);
    let way_out = failure.hint.clone().unwrap_or_else(|| match failure.class {
        Class::Unavailable => "check HUBSPOT_API_URL, the network and HubSpot's status page".into(),
        Class::Forbidden => "give the token the scope in HubSpot".into(),
        _ => "try again in a minute".into(),
    });
    report.problem(AREA, name, detail, way_out);
}

/// Properties, options and stages, a line for what is missing and one for all that is there.
fn prepared(report: &mut Report, findings: &[Finding]) {
    let open = |finding: &&Finding| matches!(finding.state, State::Missing | State::Wrong);
    for finding in findings.iter().filter(open) {
        let Finding { object, kind, name, state, hint } = finding;
        let how = if *state == State::Wrong { "wrong" } else { "missing" };
        let way_out = hint.clone().unwrap_or_else(|| "run `hubferry setup`".into());
        let detail = format!("{object}: {kind} `{name}` is {how}");
        report.add(AREA, "set up", Verdict::Problem, detail, Some(way_out));
    }
    if findings.iter().filter(open).count() == 0 {
        let all = findings.len();
        report.ok(AREA, "set up", format!("all {all} properties, options and groups are there"));
    }
}
