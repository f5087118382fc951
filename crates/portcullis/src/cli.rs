//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use portcullis_drill::LoopbackTarget;
use portcullis_drill::vectors::{CONNECTIONS_MAX, SECONDS_MAX};
use portcullis_ledger::Verifier;
use portcullis_model::{OriginConfig, parse_origin};

fn parse_vkey(text: &str) -> Result<Verifier, String> {
    text.trim().parse().map_err(|problem| format!("{problem}"))
}

/// A gate in front of your own web platforms, and the honest account of what happened.
///
/// Under attack it lowers itself, keeps people coming through, and raises itself again; what it
/// did and saw stands in a signed log that anyone can check.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put the gate in front of your site.
    Run(RunArguments),
    /// Check a configuration file, and say where and how to mend it.
    Check(CheckArguments),
    /// Say what this machine lacks for an attack: settings of the kernel, limits, open doors.
    Doctor(DoctorArguments),
    /// Rehearse an attack on a demonstration site, without and with the gate.
    Drill(DrillArguments),
    /// Run recorded access logs through the same eyes.
    Replay(ReplayArguments),
    /// List incidents, or show the timeline of one.
    Incident(IncidentArguments),
    /// Say what the evidence supports, or check what somebody wants to say.
    Statement(StatementArguments),
    /// Answer the NCSC's nine questions, ready to paste.
    Report(ReportArguments),
    /// Record that somebody was told: a statement may say so only with a receipt.
    Receipt(ReceiptArguments),
    /// Check a folder of evidence: signatures, tree and proofs.
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "origin"])]
    pub config: Option<PathBuf>,
    /// Where visitors connect, without a configuration file.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The server to protect, without a configuration file: http://HOST:PORT.
    #[arg(long, value_name = "URL", value_parser = parse_origin, required_unless_present = "config")]
    pub origin: Option<OriginConfig>,
    /// Where operators look, instead of what the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// The folder of the ledger, instead of what the configuration says.
    #[arg(long, value_name = "FOLDER")]
    pub ledger: Option<PathBuf>,
    /// Mark everything that is recorded as a rehearsal.
    #[arg(long)]
    pub rehearsal: bool,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration file.
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    pub file: Option<PathBuf>,
    /// Print the JSON Schema of configuration files instead.
    #[arg(long)]
    pub schema: bool,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// The configuration to judge the machine by; else every default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The running gate, whose own limits are looked at instead of this shell's.
    #[arg(long, value_name = "PROCESS")]
    pub pid: Option<u32>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DrillArguments {
    #[command(subcommand)]
    pub command: Option<DrillCommand>,
    /// What to rehearse.
    #[arg(long, default_value = "campaign-day")]
    pub scenario: String,
    /// The seed of its traffic: the same seed sends the same requests.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The folder for the results, which must not exist yet; else a new one under
    /// `drill-results`.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Rehearse with this gate of yours, which is up already on loopback, instead of one with the
    /// demonstration's configuration.
    #[arg(long, value_name = "ADDRESS", value_parser = LoopbackTarget::parse, requires = "origin_port")]
    pub target: Option<LoopbackTarget>,
    /// The port on 127.0.0.1 where your gate expects its origin: the demonstration site will be
    /// there.
    #[arg(long, value_name = "PORT", requires = "target")]
    pub origin_port: Option<u16>,
    /// The folder of your gate's ledger.
    #[arg(long, value_name = "FOLDER", requires = "target")]
    pub ledger: Option<PathBuf>,
    /// Print the score card in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    /// Rehearse known ways to exhaust a gate, one at a time, against a gate of yours on loopback.
    ///
    /// Each is bounded in connections, requests, bytes and time. Beside it a handful of honest
    /// visitors ask for pages; the answer is whether they were served and whether nothing was held
    /// for longer than allowed. Certificates are not verified.
    Vectors(VectorsArguments),
}

#[derive(Debug, Args)]
pub struct VectorsArguments {
    /// The vectors, by name; `all` is every one that the target speaks the language of.
    #[arg(value_name = "VECTOR", required_unless_present = "list")]
    pub names: Vec<String>,
    /// List all vectors, each in a line.
    #[arg(long)]
    pub list: bool,
    /// Your gate, up already on loopback: 127.0.0.1:8080, or `https://127.0.0.1:8443`.
    ///
    /// Without it, each vector gets a fresh gate with nothing but defaults, in front of a small site.
    #[arg(long, value_name = "ADDRESS", value_parser = LoopbackTarget::parse)]
    pub target: Option<LoopbackTarget>,
    /// The port on 127.0.0.1 where your gate expects its origin: a small site will be there, with a
    /// large page for slow reading.
    #[arg(long, value_name = "PORT", requires = "target", conflicts_with = "path", value_parser = clap::value_parser!(u16).range(1..))]
    pub origin_port: Option<u16>,
    /// The target speaks TLS, as if `https://` stood before it.
    #[arg(long, requires = "target")]
    pub tls: bool,
    /// Your gate's `operator` address, to be told which reasons and cuts grew.
    #[arg(long, value_name = "ADDRESS", value_parser = LoopbackTarget::parse, requires = "target")]
    pub admin: Option<LoopbackTarget>,
    /// The host name that is asked for.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub host: String,
    /// The page that is asked for. For slow reading, name a large one.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub path: String,
    /// The page that honest visitors ask for, if it is another.
    #[arg(long, value_name = "PATH")]
    pub visitor_path: Option<String>,
    /// Connections at the same time, instead of the vector's own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub connections: Option<u32>,
    /// How long each lasts, instead of the vector's own time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SECONDS_MAX)))]
    pub seconds: Option<u32>,
    /// Your gate's configuration: its deadlines say for how long a connection may be held, where that
    /// is the point. Without it, the defaults do.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub config: Option<PathBuf>,
    /// For how many seconds a connection may be held, where that is the point, instead of what the
    /// configuration says.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub max_hold: Option<u32>,
    /// For how many seconds an honest visitor waits for a page.
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub page_timeout: u32,
    /// Answer in JSON, one object a line for each vector.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Access logs, in order: Nginx or Apache combined format or Caddy JSON, plain or gzip.
    /// `-` is standard input.
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,
    /// The configuration to replay with; else one platform with every default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The files hold requests per minute (`minute,requests` lines), not single requests.
    #[arg(long)]
    pub minutes: bool,
    /// Write the plot (SVG) here.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where the evidence is.
#[derive(Debug, Args)]
pub struct LedgerArguments {
    /// The folder of the ledger, or a folder of results that holds one.
    #[arg(long, value_name = "FOLDER", default_value = "ledger")]
    pub ledger: PathBuf,
}

#[derive(Debug, Args)]
pub struct IncidentArguments {
    /// The incident to show (`latest` is one); without it, all are listed.
    #[arg(value_name = "INCIDENT")]
    pub incident: Option<String>,
    #[command(flatten)]
    pub ledger: LedgerArguments,
    /// Answer in JSON.
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
    /// The incident.
    #[arg(value_name = "INCIDENT", default_value = "latest")]
    pub incident: String,
    #[command(flatten)]
    pub ledger: LedgerArguments,
    /// Check this text, sentence by sentence, instead of writing a statement. `-` is standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// How to answer.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// Answer in JSON: the same as `--format json`.
    #[arg(long)]
    pub json: bool,
    /// Your organisation's name, for the heading.
    #[arg(long, value_name = "NAME")]
    pub organisation: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The incident.
    #[arg(value_name = "INCIDENT", default_value = "latest")]
    pub incident: String,
    #[command(flatten)]
    pub ledger: LedgerArguments,
    /// How to answer.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// Answer in JSON: the same as `--format json`.
    #[arg(long)]
    pub json: bool,
    /// Your organisation's name.
    #[arg(long, value_name = "NAME")]
    pub organisation: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReceiptArguments {
    /// Who was told, for example NCSC.
    #[arg(long, value_name = "NAME")]
    pub to: String,
    /// How, for example `web form`.
    #[arg(long, value_name = "HOW")]
    pub channel: String,
    /// The reference that they gave.
    #[arg(long, value_name = "REFERENCE")]
    pub reference: String,
    /// When (RFC 3339); else now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// The document that was sent: its SHA-256 is recorded, not its content.
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    #[command(flatten)]
    pub ledger: LedgerArguments,
}

#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The folder.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The log's key as you were told it. Without it, the folder's own key is used, which shows
    /// only that the folder is consistent with itself.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    pub key: Option<Verifier>,
    /// An older checkpoint that you kept: the log must be a continuation of it.
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}
