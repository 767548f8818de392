//! The priority of a row. Rows with `high` priority go first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Priorities, ordered from the most urgent to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Goes before all others.
    High,
    /// The usual priority.
    Normal,
    /// Goes after all others.
    Low,
}

/// The text is not one of the three priorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `high`, `normal` or `low`")]
pub struct UnknownPriority;

impl Priority {
    /// The word used in events, settings and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "high" => Ok(Self::High),
            "normal" => Ok(Self::Normal),
            "low" => Ok(Self::Low),
            _ => Err(UnknownPriority),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_sorts_first_and_words_come_back() {
        assert!(Priority::High < Priority::Normal && Priority::Normal < Priority::Low);
        for priority in [Priority::High, Priority::Normal, Priority::Low] {
            assert_eq!(priority.as_str().parse(), Ok(priority));
            assert_eq!(serde_json::to_value(priority).unwrap(), priority.as_str());
        }
        assert_eq!("High".parse::<Priority>(), Err(UnknownPriority));
    }
}
