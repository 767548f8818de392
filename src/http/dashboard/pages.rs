//! Every page of the dashboard, in one list: the routes, the navigation, and the tests that walk
//! all pages read it.

use crate::operator::views::Role;

/// A section of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The state of the whole service.
    Overview,
    /// Rows.
    Queue,
    /// Records.
    Records,
    /// Failed rows in groups.
    Errors,
    /// Calls and attempts.
    Logs,
    /// Who did what.
    Audit,
    /// The settings that can change while the service runs.
    Settings,
    /// API keys.
    Keys,
    /// A page that belongs to no section, such as an error.
    None,
}

/// A page.
#[derive(Debug, Clone, Copy)]
pub struct PageInfo {
    /// Its section, which the navigation marks.
    pub section: Section,
    /// Its path, as the router reads it.
    pub path: &'static str,
    /// Its name in the navigation, if it has a place there.
    pub navigation: Option<&'static str>,
    /// The role that it needs.
    pub role: Role,
    /// Addresses of it. `{row}` stands for the number of a row, and `{record}` for the kind and the
    /// external id of a record.
    pub examples: &'static [&'static str],
}

/// All pages behind the sign-in. The navigation shows them in this order.
pub const PAGES: [PageInfo; 10] = [
    PageInfo {
        section: Section::Overview,
        path: "/admin",
        navigation: Some("Overview"),
        role: Role::Viewer,
        examples: &["/admin", "/admin?range=24h", "/admin?range=7d"],
    },
    PageInfo {
        section: Section::Queue,
        path: "/admin/queue",
        navigation: Some("Queue"),
        role: Role::Viewer,
        examples: &["/admin/queue", "/admin/queue?status=failed&priority=high"],
    },
    PageInfo {
        section: Section::Queue,
        path: "/admin/queue/{id}",
        navigation: None,
        role: Role::Viewer,
        examples: &["/admin/queue/{row}"],
    },
    PageInfo {
        section: Section::Records,
        path: "/admin/records",
        navigation: Some("Records"),
        role: Role::Viewer,
        examples: &["/admin/records"],
    },
    PageInfo {
        section: Section::Records,
        path: "/admin/records/{sync_type}/{external_id}",
        navigation: None,
        role: Role::Viewer,
        examples: &["/admin/records/{record}"],
    },
    PageInfo {
        section: Section::Errors,
        path: "/admin/errors",
        navigation: Some("Errors"),
        role: Role::Viewer,
        examples: &["/admin/errors"],
    },
    PageInfo {
        section: Section::Logs,
        path: "/admin/logs",
        navigation: Some("Logs"),
        role: Role::Viewer,
        examples: &["/admin/logs"],
    },
    PageInfo {
        section: Section::Audit,
        path: "/admin/audit",
        navigation: Some("Audit"),
        role: Role::Viewer,
        examples: &["/admin/audit"],
    },
    PageInfo {
        section: Section::Settings,
        path: "/admin/settings",
        navigation: Some("Settings"),
        role: Role::Viewer,
        examples: &["/admin/settings"],
    },
    PageInfo {
        section: Section::Keys,
        path: "/admin/keys",
        navigation: Some("Keys"),
        role: Role::Admin,
        examples: &["/admin/keys"],
    },
];
