//! The HTTP surface: the API, the dashboard, the browser.

pub mod api;
pub mod browser;
pub mod dashboard;
pub mod door;
pub mod same;
pub mod serving;
