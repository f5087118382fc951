//! The operators' log of events: one constant text for each kind, with the facts as fields.

use portcullis_model::Event;
use tracing::{error, info, warn};

/// Writes an event to the operators' log; tallies are left out.
pub fn log_event(event: &Event) {
    match event {
        Event::Tallied(_) | Event::UnassignedTallied(_) => {}
        Event::GateFloodBegan { .. } | Event::GateFloodEnded { .. } => log_flood_event(event),
        Event::Started { .. } => info!("started"),
        Event::HandedOver => info!("handed over to another process"),
        Event::TakenOver { continues, .. } => info!(continues, "taken over from another process"),
        Event::HandoverFailed => warn!("the other process did not take over: this one continues"),
        Event::ForkAccepted { .. }
        | Event::LedgerReplaced { .. }
        | Event::ClockStepped { .. }
        | Event::RecordingGap { .. } => log_record_event(event),
        Event::Reloaded { .. } => info!("configuration reloaded"),
        Event::ReloadRefused { problems } => warn!(problems, "reload refused"),
        Event::Stopped => info!("stopped"),
        Event::SurgeBegan { platform, activities, per_second, .. } => {
            info!(platform, activities = activities.join(", "), per_second, "surge began");
        }
        Event::SurgeEnded { platform } => info!(platform, "surge ended"),
        Event::AttackBegan { wave, platform, activities, evidence, .. } => {
            let evidence =
                evidence.iter().map(|e| e.summary.as_str()).collect::<Vec<_>>().join("; ");
            info!(wave, platform, activities = activities.join(", "), evidence, "attack began");
        }
        Event::AttackChanged { wave, platform, activities, evidence, .. } => {
            let evidence =
                evidence.iter().map(|e| e.summary.as_str()).collect::<Vec<_>>().join("; ");
            info!(wave, platform, activities = activities.join(", "), evidence, "attack changed");
        }
        Event::Mitigated { wave, platform, after_ms } => {
            info!(wave, platform, after_ms, "attack mitigated");
        }
        Event::MitigationLost { wave, platform } => info!(wave, platform, "mitigation lost"),
        Event::AttackEnded { wave, platform, .. } => info!(wave, platform, "attack ended"),
        Event::PostureChanged { platform, from, to, reason } => {
            info!(platform, from = from.as_str(), to = to.as_str(), reason, "posture changed");
        }
        Event::ProcedureEngaged(facts) => info!(
            platform = facts.platform,
            measure = facts.measure,
            summary = facts.summary,
            reason = facts.reason,
            "procedure engaged"
        ),
        Event::ProcedureReleased { id, platform, reason, .. } => {
            info!(platform, id = id.0.get(), reason, "procedure released");
        }
        Event::OriginDegraded { .. }
        | Event::OriginRecovered { .. }
        | Event::OriginDown { .. }
        | Event::OriginUp { .. } => log_origin_event(event),
        Event::FullSpeed { platform, duration_ms, .. } => {
            info!(platform, duration_ms, "full speed");
        }
        // A kind without a text above. The gate itself records none of these today.
        other => info!(event = ?other, "event recorded"),
    }
}

fn log_origin_event(event: &Event) {
    match event {
        Event::OriginDegraded { platform, summary } => {
            warn!(platform, summary, "origin degraded");
        }
        Event::OriginRecovered { platform } => info!(platform, "origin recovered"),
        Event::OriginDown { platform, onset, unserved, failed_probes, .. } => {
            warn!(platform, since = %onset, unserved, failed_probes, "origin is down");
        }
        Event::OriginUp { platform, onset, unserved, failed_probes, .. } => {
            info!(platform, down_since = %onset, unserved, failed_probes, "origin is up again");
        }
        _ => {}
    }
}

/// Events about the record itself.
fn log_record_event(event: &Event) {
    match event {
        Event::ForkAccepted { reason, .. } => warn!(reason, "going on with another ledger"),
        Event::LedgerReplaced { before, .. } => {
            error!(leaves = before.size, "the ledger was removed; a new one was begun");
        }
        Event::ClockStepped { by_ms, expected } => {
            warn!(by_ms, %expected, "the wall clock was set, or the machine was suspended");
        }
        Event::RecordingGap { lost, .. } => warn!(lost, "events were lost"),
        _ => {}
    }
}

fn log_flood_event(event: &Event) {
    match event {
        Event::GateFloodBegan { refused_per_second, usual_milli, stalled_headers, .. } => warn!(
            refused_per_second,
            usual_milli,
            stalled_headers,
            "flood of requests and connections that belong to no platform began"
        ),
        Event::GateFloodEnded { refused, peak_per_second, .. } => info!(
            refused,
            peak_per_second, "flood of requests and connections that belong to no platform ended"
        ),
        _ => {}
    }
}
