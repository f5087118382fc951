//! The nine questions of the NCSC ("Get help with a significant cyber incident", 2016), answered
//! from an incident.

use portcullis_incident::{
    GateFloodRecord, Incident, LeafRef, ProcedureRecord, WaveRecord, grade, hypotheses, words,
};
use portcullis_model::Tier;

use crate::charts::charts;
use crate::report::{
    ClaimLine, OperatorInput, Provenance, Report, ReportBlock, ReportTable, Section, TableRow,
};

/// The questions, in the NCSC's order.
const QUESTIONS: [&str; 9] = [
    "Who are you?",
    "What organisation are you from?",
    "What is your role?",
    "What are your contact details?",
    "What is your understanding of the incident, including the impact to services and users?",
    "What investigations and mitigations have you, or a third party, performed or planned?",
    "What is the output of any technical analysis?",
    "Who else has been informed?",
    "What are your planned next steps?",
];

/// Entries that are listed. The timeline of the incident itself has all of them.
const MAX_MOMENTS: usize = 400;
/// Gaps in the record that are listed one by one.
const MAX_GAPS: usize = 60;
/// Procedures that are listed.
const MAX_PROCEDURES: usize = 60;
/// Outages that are listed.
const MAX_OUTAGES: usize = 24;

/// Answers the nine questions as far as the ledger can, and marks the rest.
pub fn nine_questions(
    incident: &Incident,
    claims: &[ClaimLine],
    input: &OperatorInput,
    provenance: &Provenance,
) -> Report {
    let answers = [
        vec![paragraph_or_blank(input.name.as_ref(), "your name")],
        organisation(incident, input),
        vec![paragraph_or_blank(input.role.as_ref(), "your role")],
        contact(input),
        understanding(incident, input),
        mitigations(incident, input),
        analysis(incident),
        informed(incident, input),
        next_steps(incident, input),
    ];
    let sections = QUESTIONS.into_iter().zip(answers).zip(1..);
    let mut moments = incident.timeline();
    let more_moments = moments.len().saturating_sub(MAX_MOMENTS) as u64;
    moments.truncate(MAX_MOMENTS);
    Report {
        format: Report::FORMAT,
        rehearsal: incident.rehearsal,
        incident: incident.id.clone(),
        generated_at: provenance.generated_at,
        version: provenance.version.clone(),
        sections: sections
            .map(|((question, blocks), number)| Section { number, question, blocks })
            .collect(),
        categorisation: categorisation(incident),
        timeline: moments,
        more_moments,
        figures: crate::figures(incident),
        coverage: incident.coverage.describe(MAX_GAPS),
        claims: claims.to_vec(),
        charts: charts(incident),
    }
}

fn paragraph_or_blank(value: Option<&String>, otherwise: &str) -> ReportBlock {
    match value {
        Some(value) => ReportBlock::Paragraph(words::plain(value)),
        None => ReportBlock::Blank(otherwise.to_owned()),
    }
}

fn organisation(incident: &Incident, input: &OperatorInput) -> Vec<ReportBlock> {
    let mut blocks = vec![
        paragraph_or_blank(input.organisation.as_ref(), "your organisation's name"),
        paragraph_or_blank(
            input.sector.as_ref(),
            "what it does, its size and where it is, for example: a political party, 40 staff, \
             United Kingdom",
        ),
    ];
    let platforms: Vec<String> = incident
        .protected
        .iter()
        .map(|p| {
            let activities: Vec<String> = p
                .activities
                .iter()
                .map(|(name, tier)| format!("{name} ({})", tier.as_str()))
                .collect();
            words::plain(&format!(
                "{}: {}; activities: {}",
                p.name,
                words::list(&p.hosts),
                words::list(&activities)
            ))
        })
        .collect();
    if !platforms.is_empty() {
        blocks.push(ReportBlock::Paragraph("Platforms behind this gate:".to_owned()));
        blocks.push(ReportBlock::Items(platforms));
    }
    blocks
}

fn contact(input: &OperatorInput) -> Vec<ReportBlock> {
    let line = |what: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{what}: {}", words::plain(value)))
    };
    let known: Vec<String> = [
        line("Telephone", &input.phone),
        line("E-mail", &input.email),
        line("Organisation's e-mail, which may be compromised", &input.organisation_email),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut blocks = Vec::new();
    if !known.is_empty() {
        blocks.push(ReportBlock::Items(known));
    }
    let missing = [
        (&input.phone, "a telephone number that is answered at any hour"),
        (&input.email, "an e-mail address on a system that the incident cannot have touched"),
        (&input.organisation_email, "your organisation's e-mail address"),
    ];
    for (value, blank) in missing {
        if value.is_none() {
            blocks.push(ReportBlock::Blank(blank.to_owned()));
        }
    }
    blocks
}

fn understanding(incident: &Incident, input: &OperatorInput) -> Vec<ReportBlock> {
    let attack = incident.attack();
    let matrix = hypotheses::evaluate(incident);
    let carried = matrix.supports_attack(hypotheses::has_strong_evidence(incident));
    let what = if carried {
        "a denial-of-service attack"
    } else {
        "a traffic surge of undetermined cause"
    };
    let waves: Vec<String> = incident
        .waves
        .iter()
        .take(12)
        .map(|w| format!("{}, {}", w.name(), lasted(incident, w)))
        .collect();
    let rehearsal = if incident.rehearsal { "THIS IS A REHEARSAL. " } else { "" };
    let seen = if incident.waves.is_empty() {
        let outages = incident.outages.count();
        let outages = match outages {
            0 => String::new(),
            n => format!(" There {} {}; see below.", words::were(n), words::counted(n, "outage")),
        };
        let floods = floods(incident);
        format!("{rehearsal}What was seen: no wave of attack on a platform.{outages} {floods}")
    } else {
        format!(
            "{rehearsal}What was seen: {what} on {}, in {}{}. Status: {}.",
            words::plain(&words::list(&incident.attacked())),
            words::counted(incident.waves.len() as u64 + incident.more_waves, "wave"),
            if incident.ongoing() { ", still going on" } else { "" },
            status(incident),
        )
    };
    let mut blocks = vec![ReportBlock::Paragraph(seen), ReportBlock::Items(waves)];
    let mut impact = outages(incident);
    for platform in &incident.platforms {
        if let Some(share) = platform.attack.served_share() {
            impact.push(format!(
                "{}: of the requests that were sent on to the origin during the waves, {} were \
                 answered",
                platform.name,
                words::share(share)
            ));
        }
        let activities = platform.attack.activities.get(&platform.name);
        for (activity, totals) in activities.into_iter().flatten() {
            let essential = tier(incident, &platform.name, activity) == Some(Tier::Essential);
            if let Some(share) = totals.served_share().filter(|_| essential) {
                impact.push(format!(
                    "{activity} on {} (essential): {} of those sent on were answered",
                    platform.name,
                    words::share(share)
                ));
            }
        }
    }
    if let (Some(before), Some(during)) = (incident.before().p95.typical(), attack.p95.typical()) {
        impact.push(format!(
            "95 of 100 answers began within {} during the waves, and within {} before",
            words::span(during),
            words::span(before)
        ));
    }
    let engaged = incident.engaged();
    let shed = engaged.reason(portcullis_model::Reason::Shed);
    if shed > 0 {
        impact.push(format!(
            "{} of less important activities {} not served",
            words::counted(shed, "request"),
            words::were(shed)
        ));
    }
    if engaged.challenges_issued() > 0 {
        impact.push(format!(
            "{} {} given to people and attack alike; {} {} passed",
            words::counted(engaged.challenges_issued(), "challenge"),
            words::were(engaged.challenges_issued()),
            words::count(engaged.passed_challenges()),
            words::were(engaged.passed_challenges())
        ));
    }
    blocks.push(ReportBlock::Paragraph("Measured impact on services and users:".to_owned()));
    blocks.push(ReportBlock::Items(impact));
    blocks.push(paragraph_or_blank(
        input.impact.as_ref(),
        "the impact in your own words: what people could not do that day, and for how long",
    ));
    blocks.push(ReportBlock::Paragraph(
        "Not watched by this gate: whether content was altered, and whether data was seen or \
         taken."
            .to_owned(),
    ));
    blocks.push(ReportBlock::Blank(
        "what you know about alteration of content and about personal data, and who assessed it \
         when (a loss of availability can itself be a personal data breach)"
            .to_owned(),
    ));
    blocks
}

fn tier(incident: &Incident, platform: &str, activity: &str) -> Option<Tier> {
    let facts = incident.protected.iter().find(|p| p.name == platform)?;
    let found = facts.activities.iter().find(|(name, _)| name == activity);
    found.map(|(_, tier)| *tier)
}

fn lasted(incident: &Incident, wave: &WaveRecord) -> String {
    if wave.ongoing() {
        return format!("since {}", words::moment(wave.onset));
    }
    let until = wave.until(incident.as_of.at);
    let seen = if wave.interrupted.is_some() { " (its end was not seen)" } else { "" };
    format!("{}{seen}", words::period(wave.onset, until))
}

/// The floods of what belongs to no platform, in a sentence.
fn floods(incident: &Incident) -> String {
    let largest = incident.gate_floods.iter().max_by_key(|flood| flood.most_per_second());
    let Some(largest) = largest else { return String::new() };
    let continues = incident.gate_floods.iter().any(GateFloodRecord::ongoing);
    format!(
        "The gate had {} of requests and connections that belong to no platform: {}. Status: {}.",
        words::counted(incident.gate_floods.count(), "flood"),
        largest.extent(),
        if continues { "the flood continues" } else { "over" },
    )
}

/// The outages of origins, in sentences.
fn outages(incident: &Incident) -> Vec<String> {
    let as_of = incident.as_of.at;
    let described = incident.outages.iter().take(MAX_OUTAGES).map(|outage| {
        let until = match (outage.ended, outage.interrupted) {
            (Some(_), _) => words::period(outage.onset, outage.until(as_of)),
            (None, Some(_)) => {
                format!("since {} (its end was not seen)", words::moment(outage.onset))
            }
            (None, None) => format!("since {}", words::moment(outage.onset)),
        };
        format!("the origin of {} was down: {until}; {}", outage.platform, outage.extent())
    });
    described.collect()
}

fn status(incident: &Incident) -> String {
    if incident.ongoing() {
        return "the attack continues".to_owned();
    }
    let back = incident.platforms.iter().all(|p| incident.back_at_full_speed(&p.name).is_some());
    if back {
        "over; full speed is on record for every platform that was attacked".to_owned()
    } else {
        "over; full speed is not yet on record".to_owned()
    }
}

fn mitigations(incident: &Incident, input: &OperatorInput) -> Vec<ReportBlock> {
    let mut times = Vec::new();
    for wave in incident.waves.iter().take(24) {
        let mitigated = match wave.first_mitigation() {
            Some(m) => format!("mitigated after {}", words::span(m.after_ms)),
            None => "no mitigation on record".to_owned(),
        };
        let held = match (wave.first_mitigation(), wave.stayed_mitigated()) {
            (Some(_), true) if wave.mitigations.count() == 1 => ", which held",
            (Some(_), true) => ", broken through again, and mitigated for good",
            (Some(_), false) => ", which did not hold",
            (None, _) => "",
        };
        times.push(format!(
            "{}: detected {} after its onset, {mitigated}{held}",
            words::sentence(&wave.name()),
            words::span(wave.time_to_detect_ms())
        ));
    }
    let procedures = incident.procedures.iter().take(MAX_PROCEDURES);
    let rows: Vec<TableRow> = procedures.map(procedure_row).collect();
    let mut blocks = vec![
        ReportBlock::Paragraph(
            "The gate (Portcullis, in front of the platforms) acted automatically:".to_owned(),
        ),
        ReportBlock::Items(times),
    ];
    if !rows.is_empty() {
        blocks.push(ReportBlock::Table(ReportTable {
            caption: "Procedures: what was engaged, what it achieved, and what it cost".to_owned(),
            head: [
                "No.",
                "What and where",
                "Engaged (UTC)",
                "Released (UTC)",
                "Stopped",
                "Cost to visitors",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows,
        }));
    }
    let more = incident.procedures.count().saturating_sub(MAX_PROCEDURES as u64);
    if more > 0 {
        blocks.push(ReportBlock::Paragraph(format!(
            "{} more are in the ledger.",
            words::counted(more, "procedure")
        )));
    }
    blocks.extend(cut_totals(incident));
    blocks.push(if input.actions.is_empty() {
        ReportBlock::Blank(
            "what people did or had done: calls to the hosting or network provider, changes made \
             by hand, and when"
                .to_owned(),
        )
    } else {
        ReportBlock::Items(input.actions.iter().map(|a| words::plain(a)).collect())
    });
    blocks
}

/// What the gate ended after it had let it in.
fn cut_totals(incident: &Incident) -> Vec<ReportBlock> {
    let cuts = incident.attack().cuts;
    let lines = cuts.lines();
    if !cuts.watched() {
        return vec![ReportBlock::Paragraph(
            "What the gate cut after it had let it in (slow readers, floods within HTTP/2) is not \
             on record."
                .to_owned(),
        )];
    }
    if lines.is_empty() {
        return vec![ReportBlock::Paragraph(
            "During the waves the gate cut nothing that it had accepted.".to_owned(),
        )];
    }
    let text = "Connections and streams, not sources, that the gate had accepted and cut during the \
                waves. Some cuts also occur on ordinary days:";
    vec![ReportBlock::Paragraph(text.to_owned()), ReportBlock::Items(lines)]
}

fn procedure_row(procedure: &ProcedureRecord) -> TableRow {
    let stamp = |s: LeafRef| format!("{} {}", words::day(s.at), s.at.clock());
    let (released, stopped, cost) = match (&procedure.released, procedure.interrupted) {
        (Some(end), _) => {
            let mut costs = Vec::new();
            if end.cost.delayed > 0 {
                costs.push(format!("{} delayed", words::count(end.cost.delayed)));
            }
            if end.cost.refused_with_token > 0 {
                costs.push(format!(
                    "{} refused with a token",
                    words::count(end.cost.refused_with_token)
                ));
            }
            if let Some(n) = procedure.facts.collateral_per_million {
                costs.push(format!(
                    "at most {} in a million ordinary requests",
                    words::count(u64::from(n))
                ));
            }
            let cost = if costs.is_empty() { "none measured".to_owned() } else { costs.join("; ") };
            (stamp(end.stamp), words::count(end.effect.stopped), cost)
        }
        (None, Some(cut)) => (
            format!("{} (the gate stopped)", stamp(cut)),
            "not measured".to_owned(),
            "not measured".to_owned(),
        ),
        (None, None) => (
            "still engaged".to_owned(),
            "not yet measured".to_owned(),
            "not yet measured".to_owned(),
        ),
    };
    TableRow(vec![
        procedure.facts.id.0.to_string(),
        words::plain(&format!("{}: {}", procedure.scope(), procedure.facts.summary)),
        stamp(procedure.engaged),
        released,
        stopped,
        cost,
    ])
}

/// A number of sources, for people.
fn source_count(count: portcullis_model::SourceCount) -> String {
    match count {
        portcullis_model::SourceCount::UnderTen => "fewer than 10".to_owned(),
        portcullis_model::SourceCount::About(n) => format!("about {}", words::count(n)),
    }
}

fn analysis(incident: &Incident) -> Vec<ReportBlock> {
    if incident.waves.is_empty() {
        let none = "No wave of attack on a platform is on record, so none was graded.";
        return vec![ReportBlock::Paragraph(none.to_owned())];
    }
    let scale = grade::scale(incident);
    let found = grade::sophistication(incident);
    let matrix = hypotheses::evaluate(incident);
    let evidence: Vec<String> = incident
        .waves
        .iter()
        .flat_map(|wave| {
            wave.evidence.iter().map(move |seen| {
                words::plain(&format!(
                    "{}, {}: {} ({})",
                    wave.name(),
                    seen.first.at.clock(),
                    seen.evidence.summary.trim_end_matches('.'),
                    seen.leaves
                ))
            })
        })
        .take(60)
        .collect();
    let sources = incident
        .waves
        .iter()
        .filter_map(|wave| {
            let figures = &wave.ended.as_ref()?.figures;
            let name = words::sentence(&wave.name());
            let peak = source_count(figures.peak_sources);
            Some(match figures.sources {
                Some(all) => format!(
                    "{name}: {} distinct sources, {peak} in its busiest second (people among them)",
                    source_count(all)
                ),
                None => format!(
                    "{name}: {peak} distinct sources in its busiest quarter of a second (people \
                     among them)"
                ),
            })
        })
        .collect::<Vec<_>>();
    let mut blocks = vec![ReportBlock::Paragraph("Recorded evidence of hostility:".to_owned())];
    blocks.push(if evidence.is_empty() {
        ReportBlock::Paragraph("None.".to_owned())
    } else {
        ReportBlock::Items(evidence)
    });
    blocks.push(ReportBlock::Paragraph(format!("Scale. {}", scale.describe())));
    blocks.push(ReportBlock::Items(scale.lines().into_iter().chain(scale.caveats).collect()));
    if !sources.is_empty() {
        blocks.push(ReportBlock::Items(sources));
    }
    blocks.push(ReportBlock::Paragraph(format!(
        "Sophistication. {} {}",
        found.describe(),
        found.context
    )));
    blocks.push(ReportBlock::Table(ReportTable {
        caption: "Rubric of sophistication (Portcullis' own; no accepted standard exists)"
            .to_owned(),
        head: ["Feature", "Finding", "What was measured"].map(str::to_owned).to_vec(),
        rows: found
            .features
            .iter()
            .map(|f| {
                let raw: Vec<String> = f
                    .figures
                    .iter()
                    .map(|figure| format!("{}: {} ({})", figure.name, figure.text(), figure.leaves))
                    .collect();
                let raw =
                    if raw.is_empty() { String::new() } else { format!(" [{}]", raw.join("; ")) };
                TableRow(vec![
                    format!("({}) {}", f.letter, f.name),
                    f.observed.as_str().to_owned(),
                    format!("{}{raw}", f.summary),
                ])
            })
            .collect(),
    }));
    blocks.push(ReportBlock::Paragraph(format!(
        "What else could explain it, judged by the evidence against it: {}.",
        hypotheses::Cause::ALL
            .map(|cause| format!("{} {}", cause.label(), cause.name()))
            .join("; ")
    )));
    let crowds = surges_without_attack(incident);
    if !crowds.is_empty() {
        blocks.push(ReportBlock::Items(crowds));
    }
    blocks.push(ReportBlock::Table(ReportTable {
        caption: "Competing hypotheses: what each observation does to them".to_owned(),
        head: core::iter::once("Observation".to_owned())
            .chain(hypotheses::Cause::ALL.map(|cause| cause.label().to_owned()))
            .collect(),
        rows: matrix
            .rows
            .iter()
            .map(|o| {
                let sentences = format!("{} ({})", o.summary, o.leaves);
                let fits = o.fits.iter().map(|fit| fit.as_str().to_owned());
                TableRow(core::iter::once(sentences).chain(fits).collect())
            })
            .chain([TableRow(
                core::iter::once("Observations against".to_owned())
                    .chain(matrix.hypotheses.iter().map(|h| h.inconsistent.to_string()))
                    .collect(),
            )])
            .collect(),
    }));
    blocks.push(ReportBlock::Paragraph(matrix.conclusion));
    blocks
}

/// Surges near the waves that did not become an attack: what a flash crowd looks like on this site.
fn surges_without_attack(incident: &Incident) -> Vec<String> {
    let crowds = incident.surges.iter().filter(|surge| surge.overtaken.is_none());
    crowds
        .take(12)
        .filter_map(|surge| {
            let over = surge.ended?;
            let t = &surge.totals;
            Some(words::plain(&format!(
                "A surge on {} was not called an attack ({}): {} offered, {} forwarded, {} \
                 refused, {} given (leaves {} and {})",
                surge.platform,
                words::period(surge.began.at, over.at),
                words::counted(t.offered, "request"),
                words::count(t.forwarded),
                words::count(t.refused.saturating_add(t.dropped)),
                words::counted(t.challenges_issued(), "challenge"),
                surge.began.leaf,
                over.leaf
            )))
        })
        .collect()
}

fn informed(incident: &Incident, input: &OperatorInput) -> Vec<ReportBlock> {
    let mut informed: Vec<String> = incident
        .notifications
        .iter()
        .take(60)
        .map(|informed| {
            let r = &informed.receipt;
            words::plain(&format!(
                "{} by {} on {}, reference {} (leaf {})",
                r.recipient,
                r.channel,
                words::moment(r.notified_at),
                r.reference,
                informed.stamp.leaf
            ))
        })
        .collect();
    informed.extend(input.informed.iter().map(|line| words::plain(line)));
    let mut blocks = Vec::new();
    if informed.is_empty() {
        blocks.push(ReportBlock::Paragraph("No receipt is on record.".to_owned()));
    } else {
        blocks.push(ReportBlock::Items(informed));
    }
    if input.informed.is_empty() {
        blocks.push(ReportBlock::Blank(
            "who else has been notified: the police (0300 123 2040, press 9, during an attack; \
             101 in Scotland), the regulator, your provider, other parties"
                .to_owned(),
        ));
    }
    blocks
}

fn next_steps(incident: &Incident, input: &OperatorInput) -> Vec<ReportBlock> {
    let live: u64 = incident.platforms.iter().map(|p| p.still_active).sum();
    let mut known = Vec::new();
    if live > 0 {
        known.push(format!(
            "{} still engaged; they are released one by one when the attack is over",
            if live == 1 {
                "1 procedure is".to_owned()
            } else {
                format!("{} procedures are", words::count(live))
            }
        ));
    }
    known.push(
        "The gate stays armed: a second wave within a day is common, and belongs to this incident"
            .to_owned(),
    );
    let mut blocks = vec![ReportBlock::Items(known)];
    blocks.push(if input.next_steps.is_empty() {
        ReportBlock::Blank(
            "what you plan, by when, and when you will look again for signs of a breach (14 and \
             30 days are usual)"
                .to_owned(),
        )
    } else {
        ReportBlock::Items(input.next_steps.iter().map(|s| words::plain(s)).collect())
    });
    blocks
}

/// Facts that matter for a category, and never a category.
fn categorisation(incident: &Incident) -> Vec<String> {
    let mut facts = vec![
        "Category assigned by the NCSC or by law enforcement: none known. No other body may \
         assign one."
            .to_owned(),
    ];
    if incident.waves.is_empty() {
        facts.push("Platforms attacked: none on record.".to_owned());
        return facts;
    }
    facts.push(format!(
        "Platforms attacked: {} of {} behind this gate ({}).",
        incident.platforms.len(),
        incident.protected.len().max(incident.platforms.len()),
        words::plain(&words::list(&incident.attacked()))
    ));
    let essential: Vec<String> = incident
        .protected
        .iter()
        .filter(|p| incident.platform(&p.name).is_some())
        .flat_map(|p| {
            let essential = p.activities.iter().filter(|(_, tier)| *tier == Tier::Essential);
            essential.map(move |(name, _)| format!("{name} on {}", p.name))
        })
        .collect();
    if !essential.is_empty() {
        facts.push(format!(
            "Essential activities on them: {}.",
            words::plain(&words::list(&essential))
        ));
    }
    let lasted: u64 = incident
        .waves
        .iter()
        .map(|w| {
            let end = w.until(incident.as_of.at);
            end.millis().saturating_sub(w.onset.millis())
        })
        .fold(0, u64::saturating_add);
    facts.push(format!("The waves lasted {} together.", words::span(lasted)));
    facts
}
