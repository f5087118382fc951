//! Circles of imports within a crate, and imports against its stated module order.
//!
//! A crate with more than ten files states the order of its modules in comment lines at the head of
//! its root file, lowest first:
//!
//! ```text
//! // module order: clock head
//! // module order: context
//! // module order: serve worker
//! ```
//!
//! A module imports only modules of earlier lines. A folder with more than ten files states the
//! order of its modules in its module file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use anyhow::Result;

use crate::resolve::{Import, imports};
use crate::source::Sources;
use crate::tree::{Crate, FileId, ModuleId};

/// A crate or folder with more files than this states its order.
const FILES_WITHOUT_ORDER: usize = 10;

/// How each line of an order begins.
const ORDER: &str = "// module order:";

/// What is wrong with the modules of one crate.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ModuleFaults {
    /// Circles, each as text with its files and the names that tie it.
    pub circles: Vec<String>,
    /// Orders that are missing or wrong, and imports against them.
    pub order: Vec<String>,
}

impl ModuleFaults {
    /// All of them.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.circles.iter().chain(&self.order).cloned().collect()
    }
}

/// The root files of the crates in a source folder: a library, a program, further programs.
#[must_use]
pub fn roots(sources: &Sources) -> Vec<String> {
    sources
        .keys()
        .filter(|path| {
            matches!(path.as_str(), "lib.rs" | "main.rs")
                || path
                    .strip_prefix("bin/")
                    .is_some_and(|name| !name.contains('/') || name.ends_with("/main.rs"))
        })
        .cloned()
        .collect()
}

/// The files of a source folder that are compiled outside tests.
pub fn compiled(sources: Sources) -> Result<Sources> {
    let mut paths = BTreeSet::new();
    for root in roots(&sources) {
        paths.extend(Crate::read(&sources, &root)?.files.into_iter().map(|file| file.path));
    }
    Ok(sources.into_iter().filter(|(path, _)| paths.contains(path)).collect())
}

/// Checks every crate in a source folder.
pub fn check(sources: &Sources) -> Result<ModuleFaults> {
    let mut findings = ModuleFaults::default();
    for root in roots(sources) {
        let found = check_crate(sources, &root)?;
        findings.circles.extend(found.circles);
        findings.order.extend(found.order);
    }
    Ok(findings)
}

/// The arrows between a crate's files, each with the names that make it, as text.
pub fn arrows(sources: &Sources) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for root in roots(sources) {
        let krate = Crate::read(sources, &root)?;
        let imports = imports(&krate);
        for ((from, to), names) in by_arrow(&imports) {
            lines.push(arrow(&krate, from, to, &names));
        }
    }
    Ok(lines)
}

fn check_crate(sources: &Sources, root: &str) -> Result<ModuleFaults> {
    let krate = Crate::read(sources, root)?;
    let imports = imports(&krate);
    let circles = circles(&krate, &imports);
    let mut order = Vec::new();
    for (file, source) in krate.files.iter().enumerate() {
        let within = files_within(&krate, source.module);
        let stated = stated_order(&sources[&source.path]);
        if !stated.is_empty() {
            order.extend(against_order(&krate, &imports, file, &stated));
        } else if within > FILES_WITHOUT_ORDER {
            order.push(format!(
                "{}: {within} files and no order. State it at the head: `{ORDER} lowest …`",
                source.path
            ));
        }
    }
    Ok(ModuleFaults { circles, order })
}

/// The number of files of a module's folder; for the root, of the crate.
fn files_within(krate: &Crate, module: ModuleId) -> usize {
    let path = &krate.modules[module].path;
    let of_module = |file: &&crate::tree::SourceFile| {
        let below = &krate.modules[file.module].path;
        below.starts_with(path) && (path.is_empty() || below.len() > path.len())
    };
    krate.files.iter().filter(of_module).count()
}

/// The lines of an order: the modules of each.
fn stated_order(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter_map(|line| line.strip_prefix(ORDER))
        .map(|names| names.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// What contradicts the order that `file` states for the modules below it.
fn against_order(
    krate: &Crate,
    imports: &[Import],
    file: FileId,
    stated: &[Vec<String>],
) -> Vec<String> {
    let mut faults = Vec::new();
    let source = &krate.files[file];
    let base = &krate.modules[source.module].path;
    let mut rank = BTreeMap::new();
    for (line, names) in stated.iter().enumerate() {
        for name in names {
            if rank.insert(name.as_str(), line).is_some() {
                faults.push(format!("{}: the order names `{name}` twice", source.path));
            }
        }
    }
    // The module below `base` that a file belongs to.
    let member = |file: FileId| {
        let path = &krate.modules[krate.files[file].module].path;
        if path.starts_with(base) { path.get(base.len()).map(String::as_str) } else { None }
    };
    let present: BTreeSet<&str> = (0..krate.files.len()).filter_map(member).collect();
    for name in present.iter().filter(|name| !rank.contains_key(*name)) {
        faults.push(format!("{}: module `{name}` is missing from the order", source.path));
    }
    for name in rank.keys().filter(|name| !present.contains(*name)) {
        faults.push(format!(
            "{}: the order names `{name}`, and no such module is there",
            source.path
        ));
    }
    for ((from, to), names) in by_arrow(imports) {
        let Some(lower) = member(from) else { continue };
        let text = arrow(krate, from, to, &names);
        let Some(upper) = member(to) else {
            // The root of a crate is above everything in it.
            if base.is_empty() {
                faults.push(format!("uses an item of the crate's root: {text}"));
            }
            continue;
        };
        let (Some(from_rank), Some(to_rank)) = (rank.get(lower), rank.get(upper)) else { continue };
        if lower != upper && from_rank <= to_rank {
            faults.push(format!("against the order of {}: {text}", source.path));
        }
    }
    faults
}

type Arrows<'a> = BTreeMap<(FileId, FileId), Vec<&'a Import>>;

fn by_arrow(imports: &[Import]) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for import in imports {
        arrows.entry((import.from, import.to)).or_default().push(import);
    }
    arrows
}

/// `a.rs -> b.rs: Name (12), other (40)`, the numbers being lines.
fn arrow(krate: &Crate, from: FileId, to: FileId, imports: &[&Import]) -> String {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for import in imports {
        first.entry(&import.name).or_insert(import.line);
    }
    let names: Vec<String> = first.iter().map(|(name, line)| format!("{name} ({line})")).collect();
    format!("{} -> {}: {}", krate.files[from].path, krate.files[to].path, names.join(", "))
}

/// Each set of files that import each other, directly or through others.
fn circles(krate: &Crate, imports: &[Import]) -> Vec<String> {
    let arrows = by_arrow(imports);
    let mut next: Vec<BTreeSet<FileId>> = vec![BTreeSet::new(); krate.files.len()];
    for (from, to) in arrows.keys() {
        next[*from].insert(*to);
    }
    let reached: Vec<BTreeSet<FileId>> = (0..next.len()).map(|file| reach(&next, file)).collect();
    let mut seen: BTreeSet<FileId> = BTreeSet::new();
    let mut found = Vec::new();
    for file in 0..next.len() {
        if !reached[file].contains(&file) || seen.contains(&file) {
            continue;
        }
        let circle: BTreeSet<FileId> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        seen.extend(&circle);
        found.push(describe(krate, &arrows, &circle, &shortest(&next, file)));
    }
    found
}

/// The files that can be reached from one by at least one arrow.
fn reach(next: &[BTreeSet<FileId>], from: FileId) -> BTreeSet<FileId> {
    let mut reached = BTreeSet::new();
    let mut queue: Vec<FileId> = next[from].iter().copied().collect();
    while let Some(file) = queue.pop() {
        if reached.insert(file) {
            queue.extend(&next[file]);
        }
    }
    reached
}

/// A shortest way from a file back to itself.
fn shortest(next: &[BTreeSet<FileId>], start: FileId) -> Vec<FileId> {
    let mut before: BTreeMap<FileId, FileId> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for to in &next[file] {
            if before.contains_key(to) {
                continue;
            }
            before.insert(*to, file);
            queue.push_back(*to);
        }
    }
    let mut way = vec![start];
    let mut at = start;
    while let Some(previous) = before.get(&at) {
        way.push(*previous);
        at = *previous;
        if at == start {
            break;
        }
    }
    way.reverse();
    way
}

fn describe(
    krate: &Crate,
    arrows: &Arrows<'_>,
    circle: &BTreeSet<FileId>,
    way: &[FileId],
) -> String {
    let path = |file: &FileId| krate.files[*file].path.as_str();
    let names: Vec<&str> = circle.iter().map(path).collect();
    let way: Vec<&str> = way.iter().map(path).collect();
    let mut text = format!("circle of {} files: {}", circle.len(), names.join(" "));
    let _ = write!(text, "\n    a shortest way round: {}", way.join(" -> "));
    for ((from, to), imports) in arrows {
        if circle.contains(from) && circle.contains(to) {
            let _ = write!(text, "\n    {}", arrow(krate, *from, *to, imports));
        }
    }
    text
}

#[cfg(test)]
mod tests;
