//! The reference of every key, for `docs/configuration.md`.

use core::fmt::Write;

use super::Config;
use super::keys::{Absent, Key, Kind, Section};
use super::tables::ROOT;

impl Config {
    /// Every table of `portcullis.toml` with its keys, their defaults, ranges, meanings and
    /// reasons, as Markdown.
    pub fn reference() -> String {
        let defaults = Self::defaults();
        let mut page = String::new();
        for section in ROOT.all() {
            write_section(&mut page, section, &defaults);
        }
        page
    }
}

fn write_section(page: &mut String, section: &'static Section, defaults: &Config) {
    let heading = match section.heading {
        "" => "Top of the file".to_owned(),
        heading => format!("`{heading}`"),
    };
    let _ = writeln!(page, "### {heading}\n\n{}\n", section.about);
    page.push_str("| key | default | range | meaning |\n|---|---|---|---|\n");
    // A table has a heading of its own; an origin may also be a text.
    let own_heading = |key: &&Key| matches!(key.kind, Kind::Table(_) | Kind::Tables(..));
    for key in section.keys.iter().filter(|key| !own_heading(key)) {
        let _ = writeln!(page, "{}", row(key, defaults));
    }
    let tables: Vec<_> = section
        .keys
        .iter()
        .filter(own_heading)
        .filter_map(|key| Some((key, key.kind.section()?)))
        .map(|(key, section)| {
            let most = match key.kind {
                Kind::Tables(_, most) => format!(" (at most {most}: {})", key.why),
                _ => String::new(),
            };
            format!("`{}`{most}", section.heading)
        })
        .collect();
    if !tables.is_empty() {
        let _ = writeln!(page, "\nTables below it: {}.", tables.join("; "));
    }
    page.push('\n');
}

fn row(key: &Key, defaults: &Config) -> String {
    let default = match key.absent {
        Absent::Required(_) => "required".to_owned(),
        Absent::Means(means) => means.to_owned(),
        Absent::Is(default) => format!("`{}`", default(defaults)),
    };
    let range = key.kind.range();
    let why = match key.why {
        "" => String::new(),
        why => format!(" *Range: {why}.*"),
    };
    format!("| `{}` | {default} | {range} | {}{why} |", key.name, key.about)
}
