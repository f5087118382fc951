//! `portcullis drill vectors`: known ways to exhaust a gate, one at a time.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_drill::Target;
use portcullis_drill::vectors::{
    Grants, LARGE_PAGE, LIST, Over, Rehearsal, Rehearsed, Site, Vector, named, rehearse,
};
use portcullis_model::Config;

use crate::check::{self, Unusable};
use crate::cli::VectorsArguments;
use crate::own_gate::{Gate, free_addresses};

/// Carries out the named vectors one after another, each against a fresh gate of ours unless another
/// is named. Answers whether all were withstood.
pub fn vectors(arguments: &VectorsArguments) -> Result<bool> {
    if arguments.list {
        list(arguments.json)?;
        return Ok(true);
    }
    let target =
        arguments.target.map(|target| if arguments.tls { target.over_tls() } else { target });
    // A gate of ours has a listener of either kind.
    let chosen = chosen(&arguments.names, target.is_none_or(|target| target.is_tls()))?;
    let grants = match &arguments.config {
        Some(file) => Grants::of(&check::read(file)?.0),
        None => Grants::default(),
    };
    let site = match (target, arguments.origin_port) {
        (Some(_), None) => None,
        (_, port) => Some(Site::start(port.unwrap_or(0)).context("cannot start the site")?),
    };
    let mut all_withstood = true;
    for vector in chosen {
        let result = match (target, &site) {
            (Some(target), site) => {
                let mut rehearsal = rehearsal(arguments, vector, target, grants.clone());
                rehearsal.operator = arguments.operator;
                if site.is_some() && vector.reads_slowly() {
                    LARGE_PAGE.clone_into(&mut rehearsal.path);
                }
                carry_out(&rehearsal)?
            }
            (None, Some(site)) => against_ours(arguments, vector, site)?,
            (None, None) => bail!("there is neither a gate nor a site"),
        };
        if arguments.json {
            println!("{}", serde_json::to_string(&result)?);
        } else {
            println!("{result}");
        }
        all_withstood &= result.withstood;
    }
    Ok(all_withstood)
}

/// What was asked for, of this vector.
fn rehearsal(
    arguments: &VectorsArguments,
    vector: &'static Vector,
    target: Target,
    grants: Grants,
) -> Rehearsal {
    let mut rehearsal = Rehearsal::new(vector, target, grants);
    rehearsal.host.clone_from(&arguments.host);
    rehearsal.path.clone_from(&arguments.path);
    let visitors_path = arguments.visitors_path.as_ref().unwrap_or(&arguments.path);
    rehearsal.visitors_path.clone_from(visitors_path);
    rehearsal.patience = Duration::from_secs(u64::from(arguments.patience));
    rehearsal.connections = arguments.connections.unwrap_or(vector.connections);
    rehearsal.seconds = arguments.seconds.unwrap_or(vector.seconds);
    if let Some(seconds) = arguments.held_at_most
        && rehearsal.held_at_most.is_some()
    {
        rehearsal.held_at_most = Some(Duration::from_secs(u64::from(seconds)));
    }
    rehearsal
}

fn carry_out(rehearsal: &Rehearsal) -> Result<Rehearsed> {
    let vector = rehearsal.vector;
    eprintln!("{}, {} s: {}", vector.name, rehearsal.seconds, vector.about);
    Ok(rehearse(rehearsal)?)
}

/// A gate with nothing but defaults, which is gone afterwards.
fn against_ours(
    arguments: &VectorsArguments,
    vector: &'static Vector,
    site: &Site,
) -> Result<Rehearsed> {
    let folder = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(folder.path().join("site.crt"), made.cert.pem())?;
    std::fs::write(folder.path().join("site.key"), made.signing_key.serialize_pem())?;
    let [plain, secure, operator] = free_addresses()?;
    let text = format!(
        "operator = \"{operator}\"\n\n[[listen]]\naddress = \"{plain}\"\n\n[[listen]]\n\
         address = \"{secure}\"\ncertificate = \"site.crt\"\nkey = \"site.key\"\n\n\
         [limits]\n{}\n\n\
         [[platforms]]\nname = \"site\"\nhosts = [\"*\"]\norigin = \"http://{}\"\n",
        vector.limits,
        site.address()
    );
    let grants = Grants::of(&Config::read(&text, "portcullis.toml").map_err(Unusable::Problems)?);
    let gate = Gate::start(folder.path(), &text, operator)?;
    let target = match vector.over {
        Over::Either => Target::parse(&plain.to_string())?,
        Over::Tls | Over::Udp => Target::parse(&secure.to_string())?.over_tls(),
    };
    let mut rehearsal = rehearsal(arguments, vector, target, grants);
    rehearsal.operator = Some(Target::parse(&operator.to_string())?);
    if vector.reads_slowly() {
        LARGE_PAGE.clone_into(&mut rehearsal.path);
    }
    let result = carry_out(&rehearsal)?;
    gate.stop()?;
    Ok(result)
}

fn chosen(names: &[String], tls: bool) -> Result<Vec<&'static Vector>> {
    if names == ["all"] {
        let speaks = |vector: &&Vector| match vector.over {
            Over::Either => true,
            Over::Tls => tls,
            // HTTP/3 is off unless it was asked for.
            Over::Udp => false,
        };
        return Ok(LIST.iter().filter(speaks).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match named(name) {
            Some(vector) => chosen.push(vector),
            None => {
                bail!("there is no vector `{name}`; `portcullis drill vectors --list` names all")
            }
        }
    }
    Ok(chosen)
}

fn list(json: bool) -> Result<()> {
    for vector in LIST {
        let needs = match vector.over {
            Over::Either => "",
            Over::Tls => " (TLS)",
            Over::Udp => " (HTTP/3)",
        };
        if json {
            let line = serde_json::json!({
                "vector": vector.name,
                "about": vector.about,
                "known_as": vector.known_as,
                "connections": vector.connections,
                "seconds": vector.seconds,
            });
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{:<21} {}{needs} [{}]", vector.name, vector.about, vector.known_as);
        }
    }
    Ok(())
}
