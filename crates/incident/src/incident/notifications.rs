//! Recipients that were notified: `receipt-recorded`.

use core::time::Duration;

use portcullis_model::{Receipt, WallTime};
use serde::Serialize;

use crate::timeline::Timeline;
use crate::words::{plain, sentence};
use crate::{BoundedList, LeafRef};

/// A receipt belongs to the latest incident that had begun when the recipient was notified, within
/// this time of its onset: final reports are due a month after (NIS2, article 23).
const WINDOW: Duration = Duration::from_hours(31 * 24);

/// Receipts listed per incident.
const LISTED: usize = 256;

/// A recipient was notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// When it was recorded.
    pub stamp: LeafRef,
    /// The receipt.
    pub receipt: Receipt,
}

/// Whether a receipt can be about an incident with this onset.
pub(super) fn concerns(onset: WallTime, receipt: &Receipt) -> bool {
    onset <= receipt.notified_at && receipt.notified_at <= onset + WINDOW
}

/// Adds a receipt.
pub(super) fn add(
    notifications: &mut BoundedList<Notification>,
    stamp: LeafRef,
    receipt: &Receipt,
) {
    notifications.add(Notification { stamp, receipt: receipt.clone() }, LISTED);
}

/// Adds the sentences.
pub(super) fn describe(notifications: &BoundedList<Notification>, timeline: &mut Timeline) {
    for notification in notifications {
        let receipt = &notification.receipt;
        let summary = format!(
            "{} was notified by {}; reference {}.",
            sentence(&plain(&receipt.recipient)),
            plain(&receipt.channel),
            plain(&receipt.reference)
        );
        let stamp = LeafRef { at: receipt.notified_at, leaf: notification.stamp.leaf };
        timeline.add(stamp, summary);
    }
}
