//! `portcullis drill vectors`: known ways to exhaust a gate, one at a time.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_drill::vectors::{LIST, Over, Rehearsal, Vector, named, rehearse};

use crate::cli::VectorsArguments;

/// Carries out the named vectors one after another. Answers whether all were withstood.
pub fn vectors(arguments: &VectorsArguments) -> Result<bool> {
    if arguments.list {
        list(arguments.json)?;
        return Ok(true);
    }
    let target = arguments.target.context("name your gate with --target")?;
    let target = if arguments.tls { target.over_tls() } else { target };
    let chosen = chosen(&arguments.names, target.is_tls())?;
    let mut all_withstood = true;
    for vector in chosen {
        let mut rehearsal = Rehearsal::new(vector, target);
        rehearsal.host.clone_from(&arguments.host);
        rehearsal.path.clone_from(&arguments.path);
        let visitors_path = arguments.visitors_path.as_ref().unwrap_or(&arguments.path);
        rehearsal.visitors_path.clone_from(visitors_path);
        rehearsal.operator = arguments.operator;
        rehearsal.patience = Duration::from_secs(u64::from(arguments.patience));
        rehearsal.connections = arguments.connections.unwrap_or(vector.connections);
        rehearsal.seconds = arguments.seconds.unwrap_or(vector.seconds);
        if let Some(seconds) = arguments.held_at_most
            && rehearsal.held_at_most.is_some()
        {
            rehearsal.held_at_most = Some(Duration::from_secs(u64::from(seconds)));
        }
        eprintln!("{}, {} s: {}", vector.name, rehearsal.seconds, vector.about);
        let result = rehearse(&rehearsal)?;
        if arguments.json {
            println!("{}", serde_json::to_string(&result)?);
        } else {
            println!("{result}");
        }
        all_withstood &= result.withstood;
    }
    Ok(all_withstood)
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
