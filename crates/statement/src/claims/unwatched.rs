//! What no instrument of this version watches: never supported, and never contradicted.

use crate::{Claim, ClaimKind, Finding};

pub(super) fn integrity() -> Claim {
    Claim::new(
        ClaimKind::Integrity,
        Finding::NotShown,
        "Not watched: no content, script, file or configuration was compared with a baseline.",
    )
    .wording(
        "We do not know whether anything on our platforms was altered: the gate did not watch for it.",
    )
    .caveat("The opposite is not shown either: no record shows that anything was altered.")
}

pub(super) fn no_breach() -> Claim {
    Claim::new(
        ClaimKind::NoBreach,
        Finding::NotShown,
        "Not watched: what left the platforms was not examined, so there is nothing to be \
         confident about.",
    )
    .wording(
        "We do not know whether any data was seen, changed or taken: the gate did not watch for it.",
    )
    .caveat(
        "Absence of evidence is all that anybody can have within a day: intrusions are typically \
         found after one to four weeks (Mandiant M-Trends 2026: 9 days from within, 25 by notice \
         from others, at the median).",
    )
    .caveat(
        "A loss of availability can itself be a personal data breach under UK GDPR. Assess it and \
         write the decision down, even if no notification is needed (article 33(5)).",
    )
    .caveat("The opposite is not shown either: no record shows that any data got out.")
}
