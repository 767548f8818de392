//! The order of the lifecycle stages.

/// The lifecycle stages in their order.
const STAGES: [&str; 8] = [
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
];

/// Whether a lifecycle stage comes before another. Stages that an account added have no order.
pub(super) fn is_earlier(stage: &str, than: &str) -> bool {
    let place = |s: &str| STAGES.iter().position(|known| *known == s);
    matches!((place(stage), place(than)), (Some(a), Some(b)) if a < b)
}
