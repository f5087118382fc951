//! The commands on evidence: each works from a ledger alone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use portcullis_edge::Clock;
use portcullis_incident::{Fold, Incident, words};
use portcullis_ledger::verify::OldCheckpoint;
use portcullis_ledger::{Error as LedgerError, Ledger, LedgerReader, canonical_json};
use portcullis_model::{Entry, Event, Receipt, WallTime};
use portcullis_report::{ClaimLine, OperatorInput, Provenance, nine_questions};
use portcullis_runtime::send_receipt;
use portcullis_statement::{CheckContext, LeafProof, LocalZone, PressDetails, Statement};
use sha2::{Digest, Sha256};

use crate::cli::{
    IncidentArguments, OutputFormat, ReceiptArguments, ReportArguments, StatementArguments,
    VerifyArguments,
};
use crate::output::{out, outln};
use crate::press_text;

/// A ledger with the incidents in it.
pub struct LoadedLedger {
    reader: LedgerReader,
    pub incidents: Vec<Incident>,
}

impl LoadedLedger {
    /// Reads the ledger in `folder`, or in its subfolder `ledger`.
    pub fn read(folder: &Path) -> Result<Self> {
        let folder = ledger_folder(folder);
        let reader = Ledger::read(&folder)
            .with_context(|| format!("cannot read the ledger in {}", folder.display()))?;
        let mut fold = Fold::default();
        for entry in reader.entries() {
            let (leaf, bytes) = entry?;
            let entry: Entry = serde_json::from_slice(&bytes).with_context(|| {
                format!("leaf {leaf} is not an event that this version can read")
            })?;
            fold.push(leaf, &entry);
        }
        Ok(Self { incidents: fold.finish(), reader })
    }

    /// One incident by its name, or `latest`.
    pub fn incident(&self, name: &str) -> Result<&Incident> {
        if self.incidents.is_empty() {
            bail!("this ledger contains no incident: no attack was recorded");
        }
        let found = match name {
            "latest" => self.incidents.last(),
            name => self.incidents.iter().find(|incident| incident.id.eq_ignore_ascii_case(name)),
        };
        found.with_context(|| {
            let known: Vec<_> = self.incidents.iter().map(|i| i.id.as_str()).collect();
            format!("unknown incident {name}; there are: {}", known.join(", "))
        })
    }

    /// The statement about an incident, with a proof for each leaf that it cites.
    pub fn statement(
        &self,
        incident: &Incident,
        organisation: Option<String>,
        generated_at: WallTime,
        press: PressDetails,
    ) -> Result<Statement> {
        let context = portcullis_statement::StatementContext {
            press,
            checkpoint: self.reader.checkpoint().note().to_owned(),
            vkey: self.reader.verifier().to_string(),
            generated_at,
            organisation,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut statement = portcullis_statement::build(incident, &context);
        for leaf in statement.leaves_to_prove() {
            let proof = self.reader.prove_inclusion(leaf)?.to_string();
            statement.proofs.push(LeafProof { leaf, proof });
        }
        Ok(statement)
    }
}

/// Builds the report about an incident.
pub fn build_report(
    incident: &Incident,
    statement: &Statement,
    organisation: Option<String>,
    at: WallTime,
) -> portcullis_report::Report {
    let claims: Vec<_> = statement
        .claims
        .iter()
        .map(|claim| ClaimLine {
            typical_wording: claim.typical_wording.to_owned(),
            finding: claim.finding.as_str().to_owned(),
            sentence: claim.sentence.clone(),
        })
        .collect();
    let operator = OperatorInput { organisation, ..OperatorInput::default() };
    let provenance = Provenance { generated_at: at, version: env!("CARGO_PKG_VERSION").to_owned() };
    nine_questions(incident, &claims, &operator, &provenance)
}

/// The ledger's folder: `folder`, or its subfolder `ledger` if it is a results folder.
fn ledger_folder(folder: &Path) -> PathBuf {
    let inner = folder.join("ledger");
    if !folder.join("format").exists() && inner.join("format").exists() {
        inner
    } else {
        folder.into()
    }
}

/// Lists incidents, or shows one.
pub fn incident(arguments: &IncidentArguments) -> Result<bool> {
    let evidence = LoadedLedger::read(&arguments.ledger.ledger)?;
    match &arguments.incident {
        Some(name) => print_incident(evidence.incident(name)?, arguments.json)?,
        None if arguments.json => {
            outln!("{}", serde_json::to_string_pretty(&evidence.incidents)?);
        }
        None if evidence.incidents.is_empty() => {
            outln!("No incident was recorded: no attack, no flood of the gate, no outage.");
        }
        None => {
            for incident in &evidence.incidents {
                outln!(
                    "{}  {}  {}, {}{}",
                    incident.id,
                    words::period(incident.onset(), incident.until()),
                    contents(incident),
                    concerns(incident),
                    if incident.rehearsal { "  (rehearsal)" } else { "" }
                );
            }
        }
    }
    Ok(true)
}

/// `2 waves and 1 outage`.
fn contents(incident: &Incident) -> String {
    let parts = [
        (incident.waves.len() as u64, "wave"),
        (incident.gate_floods.count(), "flood of the gate"),
        (incident.outages.count(), "outage"),
    ];
    let named: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| match *noun {
            "flood of the gate" if *count > 1 => format!("{count} floods of the gate"),
            noun => words::counted(*count, noun),
        })
        .collect();
    words::list(&named)
}

/// The platforms that were attacked, those whose origin was down, or the gate.
fn concerns(incident: &Incident) -> String {
    let mut names = incident.attacked();
    for outage in &incident.outages {
        if !names.contains(&outage.platform.as_str()) {
            names.push(&outage.platform);
        }
    }
    if names.is_empty() { "the gate".to_owned() } else { names.join(", ") }
}

fn print_incident(incident: &Incident, json: bool) -> Result<()> {
    if json {
        outln!("{}", serde_json::to_string_pretty(incident)?);
        return Ok(());
    }
    if incident.rehearsal {
        outln!("REHEARSAL: no real attack.");
    }
    outln!("{}: {}\n", incident.id, concerns(incident));
    for moment in incident.timeline() {
        outln!("{}  {}  (leaf {})", moment.at.clock(), moment.summary, moment.leaf);
    }
    Ok(())
}

/// Writes a statement, or checks a text against the evidence.
pub fn statement(arguments: &StatementArguments) -> Result<bool> {
    let evidence = LoadedLedger::read(&arguments.ledger.ledger)?;
    let format = if arguments.json { OutputFormat::Json } else { arguments.format };
    if let Some(file) = &arguments.check {
        return check_press_text(&evidence, arguments, file, format);
    }
    let incident = evidence.incident(&arguments.incident)?;
    let made_at = made_at(arguments.made_at.as_deref())?;
    let press = PressDetails {
        zone: local_zone(arguments.zone.as_deref(), made_at)?,
        next_update: arguments.next_update.clone(),
        contact: arguments.contact.clone(),
    };
    let statement = evidence.statement(incident, arguments.organisation.clone(), made_at, press)?;
    match format {
        OutputFormat::Text => out!("{}", statement.to_text()),
        OutputFormat::Json => outln!("{}", statement.to_json()),
        OutputFormat::Html => out!("{}", statement.to_html()),
    }
    Ok(true)
}

fn check_press_text(
    evidence: &LoadedLedger,
    arguments: &StatementArguments,
    file: &Path,
    format: OutputFormat,
) -> Result<bool> {
    let text = press_text::read(file)?;
    // Without an incident every sentence about one is unsupported, and the check reports it.
    let incident = match evidence.incidents.is_empty() {
        true => None,
        false => Some(evidence.incident(&arguments.incident)?),
    };
    let made_at = made_at(arguments.made_at.as_deref())?;
    let context = CheckContext {
        made_at: Some(made_at),
        zone: local_zone(arguments.zone.as_deref(), made_at)?,
        names: arguments.organisation.iter().cloned().collect(),
        first_at: None,
    };
    let check = portcullis_statement::check(&text, incident, &context)?;
    match format {
        OutputFormat::Text => out!("{}", check.to_text()),
        OutputFormat::Json => outln!("{}", check.to_json()),
        OutputFormat::Html => out!("{}", check.to_html()),
    }
    Ok(check.passes())
}

/// When a statement is made: now, unless `text` gives a time.
fn made_at(text: Option<&str>) -> Result<WallTime> {
    match text {
        Some(text) => WallTime::parse(text)
            .with_context(|| format!("`{text}` is not a time; write it as 2026-11-23T19:04:00Z")),
        None => Ok(Clock::new().wall()),
    }
}

/// Local time around `at`: the zone of this name, or that of this machine.
fn local_zone(name: Option<&str>, at: WallTime) -> Result<LocalZone> {
    let zone = match name {
        Some(name) => jiff::tz::TimeZone::get(name)
            .with_context(|| format!("unknown time zone `{name}`; write it as Europe/London"))?,
        None => jiff::tz::TimeZone::system(),
    };
    let millis = |at: jiff::Timestamp| WallTime(u64::try_from(at.as_millisecond()).unwrap_or(0));
    // A year before and after: an incident and what is said of it.
    let year = jiff::SignedDuration::from_hours(366 * 24);
    let at = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(at).context("the time is out of range")?;
    let from = at.checked_sub(year).unwrap_or(jiff::Timestamp::MIN);
    let until = at.checked_add(year).unwrap_or(jiff::Timestamp::MAX);
    let first = zone.to_offset_info(from);
    let mut offsets =
        vec![(millis(from), first.offset().seconds(), first.abbreviation().to_owned())];
    for change in zone.following(from).take_while(|change| change.timestamp() <= until).take(64) {
        let name = change.abbreviation().to_owned();
        offsets.push((millis(change.timestamp()), change.offset().seconds(), name));
    }
    Ok(LocalZone { offsets })
}

/// Writes the report about an incident.
pub fn report(arguments: &ReportArguments) -> Result<bool> {
    let evidence = LoadedLedger::read(&arguments.ledger.ledger)?;
    let incident = evidence.incident(&arguments.incident)?;
    let now = Clock::new().wall();
    let statement = evidence.statement(
        incident,
        arguments.organisation.clone(),
        now,
        PressDetails::default(),
    )?;
    let report = build_report(incident, &statement, arguments.organisation.clone(), now);
    match if arguments.json { OutputFormat::Json } else { arguments.format } {
        OutputFormat::Text => out!("{}", report.to_text()),
        OutputFormat::Json => outln!("{}", report.to_json()),
        OutputFormat::Html => out!("{}", report.to_html()),
    }
    Ok(true)
}

/// Records that a recipient was notified.
pub fn receipt(arguments: &ReceiptArguments) -> Result<bool> {
    let now = Clock::new().wall();
    let notified_at = match &arguments.at {
        Some(text) => WallTime::parse(text)
            .with_context(|| format!("`{text}` is not a time; write it as 2026-11-23T19:04:00Z"))?,
        None => now,
    };
    if notified_at > now {
        bail!("{notified_at} is in the future: a receipt records a past notification");
    }
    let document = match &arguments.document {
        Some(file) => Some(sha256_hex(
            &std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
        )),
        None => None,
    };
    let receipt = Receipt {
        recipient: arguments.to.clone(),
        channel: arguments.channel.clone(),
        reference: arguments.reference.clone(),
        notified_at,
        document,
    };
    let folder = ledger_folder(&arguments.ledger.ledger);
    match Ledger::open(&folder) {
        Ok(mut ledger) => {
            let entry = Entry::new(now, Event::ReceiptRecorded(receipt));
            let leaf = ledger.append(&canonical_json(&entry)?)?;
            ledger.commit()?;
            outln!("Recorded in leaf {leaf}: {} was notified at {notified_at}.", arguments.to);
        }
        Err(LedgerError::InUse { .. }) => {
            send_receipt(&folder, receipt).map_err(|problem| {
                anyhow!("a running gate has the ledger in {}, and {problem}", folder.display())
            })?;
            outln!("Recorded by the running gate: {} was notified at {notified_at}.", arguments.to);
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot write the ledger in {}", folder.display()));
        }
    }
    Ok(true)
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Verifies an evidence folder.
pub fn verify(arguments: &VerifyArguments) -> Result<bool> {
    let since = arguments.since.as_deref().map(OldCheckpoint::read).transpose()?;
    let report = portcullis_ledger::verify::folder(
        &arguments.folder,
        arguments.key.as_ref(),
        since.as_ref(),
    )
    .with_context(|| format!("cannot verify {}", arguments.folder.display()))?;
    if arguments.json {
        outln!("{}", report.to_json()?);
    } else {
        out!("{report}");
    }
    Ok(report.is_sound())
}
