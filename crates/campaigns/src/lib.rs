//! Campaigns: simulated sites, crowds and attacks, played through the gate and the control loop,
//! to measure what the watch detects.
//!
//! A campaign has a seed. The seed gives the site, the time, and one event or attack of a family
//! ([`CampaignFamily`]). The traffic is made without any code of the judge's. Even seeds are for a look while
//! the watch is worked on; odd seeds are held out.

// module order: dice family
// module order: sender
// module order: request
// module order: truth
// module order: site
// module order: visit
// module order: ordinary
// module order: attack innocent world
// module order: scenario
// module order: played
// module order: outcome
// module order: campaign
// module order: report show
// module order: run

mod attack;
mod campaign;
mod dice;
mod family;
mod innocent;
mod ordinary;
mod outcome;
mod played;
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

pub use family::{CampaignFamily, Demand};
pub use outcome::{CampaignOutcome, FalseAttack, FigureError, Found};
pub use report::{CalmSummary, CampaignReport, FamilySummary};
pub use run::{CampaignSet, run, show};
