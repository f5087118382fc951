//! Campaigns: simulated sites, crowds and attacks, played through the gate and the control loop,
//! to measure what the watch detects.
//!
//! A campaign has a seed. The seed gives the site, the time, and one event or attack of a family
//! ([`Family`]). The traffic is made without any code of the judge's. Even seeds are for a look while
//! the watch is worked on; odd seeds are held out.

// module order: dice family
// module order: sender
// module order: request
// module order: truth
// module order: site visit
// module order: ordinary
// module order: attack innocent world
// module order: scenario
// module order: campaign outcome
// module order: report show
// module order: run

mod attack;
mod campaign;
mod dice;
mod family;
mod innocent;
mod ordinary;
mod outcome;
mod report;
mod request;
mod run;
mod scenario;
mod sender;
mod show;
mod site;
mod truth;
mod visit;
mod world;

pub use family::{Family, Rule};
pub use outcome::{CampaignOutcome, FalseAttack, FigureError, Found};
pub use report::{CalmSummary, CampaignReport, FamilySummary};
pub use run::{CampaignSet, run, show};
