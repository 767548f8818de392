//! Hints on what a person can do about a failure. A hint is never empty and never contains a value
//! that was sent.

use super::Class;
use crate::hubspot::body::ErrorBody;

/// Returns the hint for a classified reply.
pub(super) fn hint(status: u16, class: Class, code: &str, body: &ErrorBody) -> String {
    if class == Class::Forbidden {
        return forbidden(body);
    }
    by_code(code).unwrap_or_else(|| by_class(status, class, body.is_page)).to_owned()
}

/// Returns the hint for a call without a reply, by its code.
pub(super) fn without_reply(code: &str) -> &'static str {
    match code {
        "CONNECTION_REFUSED" => {
            "check HUBSPOT_API_URL and the network; it is tried again by itself"
        }
        "TIMEOUT" => "it is sent again by itself; raise HUBSPOT_TIMEOUT if HubSpot stays slow",
        "REPLY_TOO_LONG" | "BROKEN_REPLY" => {
            "it is sent again by itself; if it lasts, see whether a proxy alters the replies"
        }
        _ => "nothing to do: it is sent again",
    }
}

fn by_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "PROPERTY_DOESNT_EXIST" => {
            "create the property with `hubferry setup`, or correct its name in the mapping file"
        }
        "INVALID_OPTION" => {
            "add the option to the property in HubSpot, or map the value to one of its options"
        }
        "INVALID_EMAIL" => {
            "correct the address in the application; the next event of the record sends it"
        }
        "INVALID_INTEGER" | "INVALID_LONG" | "INVALID_DOUBLE" | "INVALID_NUMBER" => {
            "the property takes numbers: correct the value, or map the field to another property"
        }
        "READ_ONLY_VALUE" => "HubSpot computes this property: take it out of the mapping file",
        "MISSING_REQUIRED_PROPERTY" | "MISSING_CONDITIONAL_REQUIRED_PROPERTY" => {
            "an administrator of the HubSpot account made the property required: map it, or lift the rule"
        }
        "TOO_MANY_IDENTITIES" => {
            "the record was merged too often: delete it in HubSpot, it is created again"
        }
        "TOO_MANY_ASSOCIATION_LABELS" => "remove unused association labels in HubSpot",
        "REQUEST_TOO_LARGE" => "shorten the longest values of the record",
        "NO_PROPERTIES" => {
            "the event maps to no property: map one of its fields, or discard the row"
        }
        "UNIQUE_VALUE_TAKEN" => {
            "another HubSpot record holds the unique value: merge the two, or correct one of them"
        }
        "Properties.PROPERTY_WITH_NAME_EXISTS" => {
            "the property is there already: see with `hubferry setup --check` that its type fits"
        }
        "crm.associations.NO_ASSOCIATIONS_FOUND" => "nothing to do: the record has no such links",
        "crm.associations.INVALID_IDENTIFIER" => {
            "one end of the link is no HubSpot id: send the record at that end again"
        }
        "DUPLICATE_IDS" => {
            "two records stand for one HubSpot record: find the second external id, discard one"
        }
        "TOO_MANY_INPUTS" => "HubSpot takes fewer records a call than we send: report it",
        "NON_UNIQUE_ID_PROPERTY" => {
            "the key property must be unique: create it with `hubferry setup`, or name another"
        }
        "UNKNOWN_OBJECT_TYPE" => "correct the object's `plural` in config/objects.toml",
        "INVALID_JSON" | "MISSING_BODY" => {
            "HubSpot cannot read the request: check HUBSPOT_API_VERSION and proxies on the way"
        }
        "URL_TOO_LONG" => "the call's address is too long: check HUBSPOT_API_URL",
        "EXPIRED_AUTHENTICATION" => {
            "the access token has expired: set HUBSPOT_API_KEY to a new one"
        }
        "EXPIRED_AUTH_CODE" => "the authorization came too late: connect the HubSpot account again",
        _ => return None,
    })
}

fn by_class(status: u16, class: Class, is_page: bool) -> &'static str {
    match class {
        Class::Conflict => {
            "another HubSpot record holds this value: merge the two, or correct one of them"
        }
        Class::NotFound => {
            "the record is gone in HubSpot, or the API version in the settings is mistyped"
        }
        Class::Unauthorized => "set HUBSPOT_API_KEY to a valid access token and restart",
        Class::Forbidden => "grant the token the scopes that the documentation lists",
        Class::OauthTerminal => "connect the HubSpot account again",
        Class::ThrottledDaily => {
            "sending goes on after midnight in the account's time zone; see who else spends the quota"
        }
        Class::ThrottledWindow => {
            "sending goes on in seconds; lower limit_per_10s if another app shares the limit"
        }
        Class::Locked => "nothing to do: it is sent again once HubSpot's lock is over",
        Class::Migrating => {
            "HubSpot moves the account to another data centre: sending goes on when it is there"
        }
        Class::BadRequestWholeBatch if is_page || (300..400).contains(&status) => {
            "this is not HubSpot's API: check HUBSPOT_API_URL and HUBSPOT_API_VERSION"
        }
        Class::BadRequestWholeBatch => {
            "the request's form is wrong: check the mapping and object files"
        }
        Class::Unavailable => {
            "HubSpot's own trouble: nothing to do unless it lasts (status.hubspot.com)"
        }
        Class::RowRejected => "correct the value in the application or the mapping, then retry",
    }
}

fn forbidden(body: &ErrorBody) -> String {
    let scopes: Vec<&str> = ["requiredGranularScopes", "requiredScopes"]
        .iter()
        .filter_map(|key| body.context.get(*key))
        .flatten()
        .map(String::as_str)
        .take(20)
        .collect();
    if !scopes.is_empty() {
        return format!("grant the token the scopes {}", scopes.join(", "));
    }
    let text = if body.category.as_deref() == Some("BANNED") || body.says("The app is not allowed")
    {
        "the HubSpot account bars this app: ask its administrator to allow it"
    } else if body.says("The scope needed for this API call isn't available") {
        "HubSpot closes this call to apps: take the object kind out of the settings, or ask HubSpot"
    } else if body.is_page {
        "a gateway refuses us before HubSpot does: check the network's way out and HUBSPOT_API_URL"
    } else {
        by_class(403, Class::Forbidden, false)
    };
    text.to_owned()
}
