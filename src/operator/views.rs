//! The types that answers and pages are made of, for those who render them.

pub use crate::access::{Actor, KeyView, Role};
pub use crate::engine::preview::{RecordPreview, ValuePreview};
pub use crate::queue::audit::AuditLine;
pub use crate::queue::gates::account::Account;
pub use crate::queue::gates::gate::Gate;
pub use crate::queue::model::{ADOPTED_RECORD, Accepted, Status};
pub use crate::queue::upkeep::tasks::TaskRow;
pub use crate::queue::views::errors::ErrorGroup;
pub use crate::queue::views::inspect::{AttemptView, RowDetail};
pub use crate::queue::views::list::RowView;
pub use crate::queue::views::logs::{LogCursor, LogLine};
pub use crate::queue::views::page::Listing;
pub use crate::queue::views::pulse::PulsePoint;
pub use crate::queue::views::records::{AssociationView, RecordState, RecordView};
pub use crate::queue::views::totals::{LeaseView, Totals};
pub use crate::queue::views::why::Why;
pub use crate::settings::{Entry, Kind, Runtime, Source, Wrong};
