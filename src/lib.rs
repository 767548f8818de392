//! hubferry: carries domain events into HubSpot CRM, in the order of the data's way.

pub mod cli;
/// What happened: CloudEvents, admitted or refused with every fault named.
pub mod event;
/// What an event means for HubSpot records, told by mapping files.
pub mod mapping;
