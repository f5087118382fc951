//! The checks for any folder: `cargo run -q -p xtask -- modules crates/edge/src`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xtask::{functions, modules, names, source, words};

const USAGE: &str = "\
usage: cargo run -q -p xtask -- CHECK
  modules [--arrows] [SRC…]   circles of imports and the module order, of each source folder
                              (a folder with crates/ in it: of all its crates);
                              --arrows: every import between files, for a look
  words [--advice] [PATH…]    avoided phrases in files, folders, or a whole workspace;
                              --advice: also words that are right in some places only
  names [ROOT]                type names that are defined twice, or that were replaced
  functions [ROOT]            functions over the bounds that are not listed
Without a path: this workspace. Exit code 1 where something was found.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(found) if found.is_empty() => ExitCode::SUCCESS,
        Ok(found) => {
            println!("{}", found.join("\n"));
            println!("{} found", found.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<Vec<String>> {
    let (flags, rest): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let flag = |name: &str| flags.iter().any(|flag| *flag == name);
    let Some((check, paths)) = rest.split_first() else { bail!(USAGE) };
    let mut paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(source::workspace());
    }
    let mut found = Vec::new();
    for path in &paths {
        found.extend(match check.as_str() {
            "modules" => module_findings(path, flag("--arrows"))?,
            "words" => word_findings(path, flag("--advice"))?,
            "names" => names::faults(&names::all(path)?),
            "functions" => function_findings(path)?,
            _ => bail!(USAGE),
        });
    }
    Ok(found)
}

fn is_workspace(path: &Path) -> bool {
    path.join("crates").is_dir()
}

fn module_findings(path: &Path, arrows: bool) -> Result<Vec<String>> {
    let folders =
        if is_workspace(path) { source::source_folders(path)? } else { vec![path.to_owned()] };
    let mut found = Vec::new();
    for folder in folders {
        let sources =
            source::read(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        if modules::roots(&sources).is_empty() {
            bail!("{} holds no lib.rs or main.rs", folder.display());
        }
        let lines =
            if arrows { modules::arrows(&sources)? } else { modules::check(&sources)?.lines() };
        found.extend(lines.into_iter().map(|line| format!("{}: {line}", folder.display())));
    }
    Ok(found)
}

fn word_findings(path: &Path, advice: bool) -> Result<Vec<String>> {
    let files = if is_workspace(path) {
        words::texts(path)?
    } else if path.is_dir() {
        source::files(path, words::ENDINGS)?
    } else {
        vec![path.to_owned()]
    };
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let text = words::checked(&file.to_string_lossy(), &text);
        let mut lines = words::find(&text, words::AVOIDED);
        if advice {
            lines.extend(words::find(&text, words::ADVICE));
        }
        found.extend(lines.iter().map(|one| {
            format!("{}:{}: “{}” → {}", file.display(), one.line, one.phrase, one.instead)
        }));
    }
    Ok(found)
}

fn function_findings(root: &Path) -> Result<Vec<String>> {
    let list = std::fs::read_to_string(root.join("xtask/long-functions.txt")).unwrap_or_default();
    Ok(functions::faults(&functions::all(root)?, &list))
}
