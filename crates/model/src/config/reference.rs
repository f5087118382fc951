//! The reference of every key, for `docs/configuration.md`.

use core::fmt::Write;

use super::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use super::settings::Config;
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

fn write_section(page: &mut String, section: &'static TableSpec, defaults: &Config) {
    let heading = match section.heading {
        "" => "Top of the file".to_owned(),
        heading => format!("`{heading}`"),
    };
    let _ = writeln!(page, "### {heading}\n\n{}\n", section.about);
    page.push_str("| key | default | range | meaning |\n|---|---|---|---|\n");
    // A table has a separate heading; an origin may also be a text.
    let own_heading =
        |key: &&KeySpec| matches!(key.kind, ValueType::Table(_) | ValueType::Tables(..));
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
                ValueType::Tables(_, most) => format!(" (at most {most}: {})", key.why),
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

fn row(key: &KeySpec, defaults: &Config) -> String {
    let default = match key.absent {
        DefaultValue::Required(_) => "required".to_owned(),
        DefaultValue::Described(means) => means.to_owned(),
        DefaultValue::Value(default) => format!("`{}`", default(defaults)),
    };
    let range = key.kind.range();
    let why = match key.why {
        "" => String::new(),
        why => format!(" *Range: {why}.*"),
    };
    format!("| `{}` | {default} | {range} | {}{why} |", key.name, key.about)
}
