//! The command line: verbs, flags and their help texts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use portcullis_drill::LoopbackTarget;
use portcullis_drill::vectors::{CONNECTIONS_MAX, SECONDS_MAX};
use portcullis_ledger::Verifier;
use portcullis_model::{OriginConfig, parse_origin};
use portcullis_replay::LineFormat;

fn parse_vkey(text: &str) -> Result<Verifier, String> {
    text.trim().parse().map_err(|problem| format!("{problem}"))
}

/// A reverse proxy that protects websites during an attack and keeps a signed record of it.
///
/// Under attack the gate limits, challenges and refuses traffic so that visitors are still served,
/// and returns to normal automatically. Everything it does is written to a signed log that anyone can
/// verify.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gate in front of your site.
    Run(RunArguments),
    /// Check a configuration file and explain its errors.
    Check(CheckArguments),
    /// Check kernel settings, resource limits and listening ports.
    Doctor(DoctorArguments),
    /// Simulate an attack on a demonstration site, with and without the gate.
    Drill(DrillArguments),
    /// Replay access logs through the detector.
    Replay(ReplayArguments),
    /// List incidents, or show the timeline of one.
    Incident(IncidentArguments),
    /// Write a statement about an incident, or check a text against the evidence.
    Statement(StatementArguments),
    /// Answer the NCSC's nine questions about an incident.
    Report(ReportArguments),
    /// Record that a recipient was notified; statements may only claim it with a receipt.
    Receipt(ReceiptArguments),
    /// Verify an evidence folder: signatures, Merkle tree and proofs.
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "origin"])]
    pub config: Option<PathBuf>,
    /// Listen address, without a configuration file.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Origin to protect, without a configuration file: http://HOST:PORT.
    #[arg(long, value_name = "URL", value_parser = parse_origin, required_unless_present = "config")]
    pub origin: Option<OriginConfig>,
    /// Admin listen address (overrides `admin.listen` in the configuration).
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// Ledger folder (overrides `ledger` in the configuration).
    #[arg(long, value_name = "FOLDER")]
    pub ledger: Option<PathBuf>,
    /// Continue with a ledger that is not the one this gate last wrote: a restored backup, a copy on another
    /// machine, or a new one in the place of one that was lost. The ledger records it.
    #[arg(long)]
    pub accept_fork: bool,
    /// Mark all recorded events as a rehearsal.
    #[arg(long)]
    pub rehearsal: bool,
    /// Format of the log on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Configuration file.
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    pub file: Option<PathBuf>,
    /// Also try the origins, ports, certificates and permissions of files. Sends one request to each
    /// origin.
    #[arg(long)]
    pub live: bool,
    /// Print the JSON Schema of the configuration and exit.
    #[arg(long)]
    pub schema: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Configuration to check the machine against (default: the built-in defaults). Its origins, ports,
    /// certificates and files are tried too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Process ID of the running gate: check its limits instead of this shell's.
    #[arg(long, value_name = "PROCESS")]
    pub pid: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DrillArguments {
    #[command(subcommand)]
    pub command: Option<DrillCommand>,
    /// Scenario to run.
    #[arg(long, default_value = "campaign-day")]
    pub scenario: String,
    /// Random seed; the same seed sends the same requests.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Results folder, must not exist (default: a new folder under `drill-results`).
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Use a running gate on loopback instead of starting one with the demonstration's
    /// configuration.
    #[arg(long, value_name = "ADDRESS", value_parser = LoopbackTarget::parse, requires = "origin_port")]
    pub target: Option<LoopbackTarget>,
    /// Port on 127.0.0.1 that your gate uses as its origin; the demonstration site listens there.
    #[arg(long, value_name = "PORT", requires = "target")]
    pub origin_port: Option<u16>,
    /// Ledger folder of your gate.
    #[arg(long, value_name = "FOLDER", requires = "target")]
    pub ledger: Option<PathBuf>,
    /// Print the score card as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    /// Run known denial-of-service attacks, one at a time, against a gate on loopback.
    ///
    /// Each attack has limits on connections, requests, bytes and time. During it, simulated
    /// legitimate visitors request pages. The result states whether they were served and whether any
    /// connection was held longer than allowed. Certificates are not verified.
    Vectors(VectorsArguments),
}

#[derive(Debug, Args)]
pub struct VectorsArguments {
    /// Vectors by name; `all` runs every vector the target's protocols support.
    #[arg(value_name = "VECTOR", required_unless_present = "list")]
    pub names: Vec<String>,
    /// List all vectors and exit.
    #[arg(long)]
    pub list: bool,
    /// Gate on loopback: 127.0.0.1:8080 or `https://127.0.0.1:8443`.
    ///
    /// Without it, each vector runs against a new gate with the default configuration and a small
    /// site as its origin.
    #[arg(long, value_name = "ADDRESS", value_parser = LoopbackTarget::parse)]
    pub target: Option<LoopbackTarget>,
    /// Port on 127.0.0.1 that your gate uses as its origin; a small site with a large page for slow
    /// reading listens there.
    #[arg(long, value_name = "PORT", requires = "target", conflicts_with = "path", value_parser = clap::value_parser!(u16).range(1..))]
    pub origin_port: Option<u16>,
    /// Use TLS, as with `https://` in the target.
    #[arg(long, requires = "target")]
    pub tls: bool,
    /// Admin address of the gate; adds the reasons and cuts it counted to the result.
    #[arg(long, value_name = "ADDRESS", value_parser = LoopbackTarget::parse, requires = "target")]
    pub admin: Option<LoopbackTarget>,
    /// Host name in requests.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub host: String,
    /// Path that attackers request. Slow-read vectors need a large page.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub path: String,
    /// Path that legitimate visitors request (default: the value of `--path`).
    #[arg(long, value_name = "PATH")]
    pub visitor_path: Option<String>,
    /// Concurrent connections (default: set by the vector).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub connections: Option<u32>,
    /// Duration of each vector in seconds (default: set by the vector).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SECONDS_MAX)))]
    pub seconds: Option<u32>,
    /// Configuration of your gate; its timeouts set how long a connection may be held (default: the
    /// built-in defaults).
    #[arg(long, value_name = "FILE", requires = "target")]
    pub config: Option<PathBuf>,
    /// Longest allowed hold of a connection, in seconds (overrides the configuration's timeouts).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub max_hold: Option<u32>,
    /// How long a legitimate visitor waits for a page, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub page_timeout: u32,
    /// Print JSON, one object per vector and line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if the logs were read, 2 if the replay could not run, 3 if the result is \
    unreliable (more than 5% of the lines are not in it, or none could be read)."
)]
pub struct ReplayArguments {
    /// Access logs, plain or gzip; `-` reads standard input. The format of each is recognised:
    /// nginx, Apache, Caddy, Traefik, `HAProxy`, Envoy, IIS, AWS, Cloudflare, ECS.
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,
    /// Configuration to replay with (default: one platform with default settings).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Format of all logs: a name (combined, json, haproxy, alb, w3c, envoy), or the pattern of an
    /// nginx `log_format` or Apache `LogFormat`.
    #[arg(long, value_name = "FORMAT", conflicts_with = "minutes")]
    pub format: Option<LineFormat>,
    /// Sort the lines by time, with temporary files (in TMPDIR). Without it, lines may be five minutes
    /// late.
    #[arg(long, conflicts_with = "minutes")]
    pub sort: bool,
    /// The files contain requests per minute (`minute,requests` lines), not single requests.
    #[arg(long)]
    pub minutes: bool,
    /// Write the plot (SVG) to this file.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the whole result with its plots (one HTML page, without JavaScript) to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Location of the ledger.
#[derive(Debug, Args)]
pub struct LedgerArguments {
    /// Ledger folder, or a results folder that contains one.
    #[arg(long, value_name = "FOLDER", default_value = "ledger")]
    pub ledger: PathBuf,
}

#[derive(Debug, Args)]
pub struct IncidentArguments {
    /// Incident to show, or `latest`; without it, all incidents are listed.
    #[arg(value_name = "INCIDENT")]
    pub incident: Option<String>,
    #[command(flatten)]
    pub ledger: LedgerArguments,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Text,
    Json,
    Html,
}

#[derive(Debug, Args)]
pub struct StatementArguments {
    /// Incident, or `latest`.
    #[arg(value_name = "INCIDENT", default_value = "latest")]
    pub incident: String,
    #[command(flatten)]
    pub ledger: LedgerArguments,
    /// Check this text sentence by sentence instead of writing a statement: plain text, Markdown,
    /// HTML or DOCX. `-` reads standard input. The exit code is 0 only if each sentence is supported
    /// or asserts nothing.
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Time zone of the statement, for example `Europe/London` (default: that of this machine).
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// When the statement is made (RFC 3339; default: now): what "today" means.
    #[arg(long, value_name = "TIME")]
    pub made_at: Option<String>,
    /// Whom to ask, for the statement.
    #[arg(long, value_name = "TEXT", conflicts_with = "check")]
    pub contact: Option<String>,
    /// When the next update is due, for the statement.
    #[arg(long, value_name = "TEXT", conflicts_with = "check")]
    pub next_update: Option<String>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// Print JSON; same as `--format json`.
    #[arg(long)]
    pub json: bool,
    /// Name of your organisation, for the heading.
    #[arg(long, value_name = "NAME")]
    pub organisation: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Incident, or `latest`.
    #[arg(value_name = "INCIDENT", default_value = "latest")]
    pub incident: String,
    #[command(flatten)]
    pub ledger: LedgerArguments,
    /// Output format.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// Print JSON; same as `--format json`.
    #[arg(long)]
    pub json: bool,
    /// Name of your organisation.
    #[arg(long, value_name = "NAME")]
    pub organisation: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReceiptArguments {
    /// Recipient, for example NCSC.
    #[arg(long, value_name = "NAME")]
    pub to: String,
    /// Channel, for example `web form`.
    #[arg(long, value_name = "CHANNEL")]
    pub channel: String,
    /// Reference number given by the recipient.
    #[arg(long, value_name = "REFERENCE")]
    pub reference: String,
    /// Time of the notification (RFC 3339; default: now).
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Document that was sent; only its SHA-256 is recorded.
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    #[command(flatten)]
    pub ledger: LedgerArguments,
}

#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Evidence folder.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The log's public key (vkey), obtained from its operator. Without it, the key in the folder is
    /// used, which only shows that the folder is consistent with itself.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    pub key: Option<Verifier>,
    /// Older checkpoint file that you saved: the log must be a continuation of it.
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
