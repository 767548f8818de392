//! Calls about the account and the token.

use axum::http::Method;
use serde_json::json;

use crate::account::state::State;
use crate::clock;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// Everything under `/account-info/{version}`.
pub(crate) fn answer(state: &State, call: &Call, rest: &[&str]) -> Answer {
    let settings = &state.settings;
    match (&call.method, rest) {
        (&Method::GET, ["details"]) => {
            let offset = clock::offset(clock::now(), &settings.time_zone);
            let minutes = offset.num_minutes();
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
            let body = json!({
                "portalId": settings.portal_id,
                "accountType": "STANDARD",
                "timeZone": settings.time_zone,
                "companyCurrency": settings.company_currency,
                "additionalCurrencies": settings.additional_currencies,
                "utcOffset": format!("{sign}{hours:02}:{rest:02}"),
                "utcOffsetMilliseconds": offset.num_milliseconds(),
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            });
            Ok(Reply::json(200, body))
        }
        (&Method::GET, ["api-usage", "daily", "private-apps"]) => {
            let now = clock::now();
            let usage = json!({
                "name": "private-apps-api-calls-daily",
                "usageLimit": state.limits.daily(),
                "currentUsage": state.limits.used_today(),
                "collectedAt": clock::iso(now),
                "fetchStatus": "SUCCESS",
                "resetsAt": clock::iso(clock::next_midnight(now, &settings.time_zone)),
            });
            Ok(Reply::json(200, json!({"results": [usage]})))
        }
        (_, _) => Err(Refusal::not_found()),
    }
}

/// `POST /oauth/v2/private-apps/get/access-token-info`, which has the token in its body.
pub(crate) fn answer_token_info(state: &State, call: &Call) -> Answer {
    if call.method != Method::POST || !state.accepts(call.json()?["tokenKey"].as_str()) {
        return Err(Refusal::not_found());
    }
    let body = json!({
        "userId": 9101,
        "hubId": state.settings.portal_id,
        "appId": 1,
        "scopes": state.granted_scopes(),
    });
    Ok(Reply::json(200, body))
}
