//! Walks one table of the file by its section: unknown keys, kinds and ranges are dealt with
//! here, so that what reads the table only sees values it can use.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use super::nearest::nearest;
use super::problem::{ProblemCollector, ValueError, quoted};
use super::scalar::{Scalar, kind_of, scalar};
use super::settings::Config;
use super::tables::ROOT;
use super::value::format_count;

/// A value with its position, for checks that compare several.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    /// Its key, such as `platforms[0].name`.
    pub key: String,
    /// Where it is written; `None` for a default.
    pub place: Option<Range<usize>>,
    /// False where the file has something else that was already reported: nothing should be
    /// concluded from `value`.
    pub sound: bool,
}

impl<T> Placed<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: f(self.value), key: self.key, place: self.place, sound: self.sound }
    }
}

/// One table that was opened.
pub(super) struct Table<'t> {
    section: &'static TableSpec,
    /// Its key path; empty for the top of the file.
    path: String,
    place: Option<Range<usize>>,
    /// `None` if the file has no such table, which is the same as an empty one.
    entries: Option<&'t DeTable<'t>>,
    defaults: &'t Config,
}

impl<'t> Table<'t> {
    /// The whole file.
    pub(super) fn root(
        report: &mut ProblemCollector,
        entries: &'t DeTable<'t>,
        defaults: &'t Config,
    ) -> Self {
        let path = String::new();
        Self::open(report, &ROOT, path, None, Some(entries), defaults)
    }

    /// Opens a table and reports unknown keys.
    fn open(
        report: &mut ProblemCollector,
        section: &'static TableSpec,
        path: String,
        place: Option<Range<usize>>,
        entries: Option<&'t DeTable<'t>>,
        defaults: &'t Config,
    ) -> Self {
        let table = Self { section, path, place, entries, defaults };
        for key in entries.into_iter().flat_map(|entries| entries.keys()) {
            if section.key(key.get_ref()).is_none() {
                let error = unknown(section, key.get_ref());
                report.add(Some(&key.span()), &table.path_of(key.get_ref()), error);
            }
        }
        table
    }

    /// The path of one of its keys.
    pub(super) fn path_of(&self, name: &str) -> String {
        let name: String = name.chars().take(60).collect();
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }

    /// Where a key is written, if it is.
    pub(super) fn place_of(&self, name: &str) -> Option<Range<usize>> {
        self.written(name).map(Spanned::span)
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> Option<&Range<usize>> {
        self.place.as_ref()
    }

    fn written(&self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.entries?.get(name)
    }

    fn key(&self, name: &str) -> &'static KeySpec {
        self.section.key(name).expect("the reader asks only for keys of the section")
    }

    /// A key that has a default.
    pub(super) fn get<T: Scalar>(&self, report: &mut ProblemCollector, name: &str) -> Placed<T> {
        if let Some(placed) = self.find(report, name) {
            return placed;
        }
        let DefaultValue::Value(default) = self.key(name).absent else {
            unreachable!("`get` is for keys with a default, `find` for others");
        };
        Placed {
            value: T::of(default(self.defaults)).expect("the key's kind is what its reader reads"),
            key: self.path_of(name),
            place: None,
            sound: self.written(name).is_none(),
        }
    }

    /// A key as it is written; `None` if it is absent or was reported.
    pub(super) fn find<T: Scalar>(
        &self,
        report: &mut ProblemCollector,
        name: &str,
    ) -> Option<Placed<T>> {
        let key = self.key(name);
        let path = self.path_of(name);
        let Some(written) = self.written(name) else {
            self.demand(report, key);
            return None;
        };
        match scalar(key, written.get_ref()) {
            Ok(value) => Some(Placed {
                value: T::of(value).expect("the key's kind is what its reader reads"),
                key: path,
                place: Some(written.span()),
                sound: true,
            }),
            Err(error) => {
                report.add(Some(&written.span()), &path, error);
                None
            }
        }
    }

    /// Reports a required key that is absent, unless a hint for an unknown key names it.
    fn demand(&self, report: &mut ProblemCollector, key: &KeySpec) {
        let mut written = self.entries.into_iter().flat_map(|entries| entries.keys());
        if written.any(|name| meant(self.section, name.get_ref()) == Some(key.name)) {
            return;
        }
        if let DefaultValue::Required(example) = key.absent {
            let found = match key.kind {
                ValueType::Tables(..) => "none is given",
                _ => "this key is missing",
            };
            let error = ValueError::new(found, format!("something like {example}"));
            report.add(self.place.as_ref(), &self.path_of(key.name), error);
        }
    }

    /// A list of texts, each read by `parse`. What could not be read is left out, and reported.
    pub(super) fn list<T>(
        &self,
        report: &mut ProblemCollector,
        name: &str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Vec<Placed<T>> {
        let key = self.key(name);
        let path = self.path_of(name);
        let Some(written) = self.written(name) else {
            self.demand(report, key);
            return Vec::new();
        };
        let ValueType::List(least, most) = key.kind else {
            unreachable!("`list` is for lists");
        };
        let Some(items) = written.get_ref().as_array() else {
            let error = ValueError::new(
                format!("this is {}, not a list", kind_of(written.get_ref())),
                "texts between brackets, such as [\"…\", \"…\"]",
            );
            let error = match written.get_ref().as_str() {
                Some(text) => error.hint(format!("write [\"{}\"]", quoted(text).trim_matches('`'))),
                None => error,
            };
            report.add(Some(&written.span()), &path, error);
            return Vec::new();
        };
        if !(least..=most).contains(&items.len()) {
            let found = match items.len() {
                0 => "this list is empty".to_owned(),
                count => format!("this list has {} entries", format_count(count as u64)),
            };
            let error = ValueError::new(found, format!("{}: {}", key.kind.range(), key.why));
            report.add(Some(&written.span()), &path, error);
        }
        let mut read = Vec::new();
        for (at, item) in items.iter().take(most).enumerate() {
            let path = format!("{path}[{at}]");
            let value = match item.get_ref() {
                DeValue::String(text) => parse(text),
                other => Err(ValueError::new(
                    format!("this is {}, not a text", kind_of(other)),
                    "texts, each between quotation marks",
                )),
            };
            match value {
                Ok(value) => {
                    read.push(Placed { value, key: path, place: Some(item.span()), sound: true });
                }
                Err(error) => report.add(Some(&item.span()), &path, error),
            }
        }
        read
    }

    /// The table under a key. One that is absent is empty; so is, once reported, what is none.
    pub(super) fn table(&self, report: &mut ProblemCollector, name: &str) -> Table<'t> {
        let key = self.key(name);
        let path = self.path_of(name);
        let section = key.kind.section().expect("`table` is for tables");
        let written = self.written(name);
        let entries = written.and_then(|written| written.get_ref().as_table());
        if let (Some(written), None) = (written, entries) {
            let heading = section.heading;
            let error = ValueError::new(
                format!("this is {}, not a table", kind_of(written.get_ref())),
                format!("{heading} on a separate line, and its keys on the lines below"),
            );
            let error = match written.get_ref() {
                DeValue::Array(_) => error.hint(format!("there is only one: write {heading}")),
                _ => error,
            };
            report.add(Some(&written.span()), &path, error);
        }
        let place = written.map(Spanned::span);
        Table::open(report, section, path, place, entries, self.defaults)
    }

    /// The tables under a key.
    pub(super) fn tables(&self, report: &mut ProblemCollector, name: &str) -> Vec<Table<'t>> {
        let key = self.key(name);
        let path = self.path_of(name);
        let ValueType::Tables(section, most) = key.kind else {
            unreachable!("`tables` is for lists of tables");
        };
        let Some(written) = self.written(name) else {
            self.demand(report, key);
            return Vec::new();
        };
        let heading = section.heading;
        let Some(items) = written.get_ref().as_array() else {
            let error = ValueError::new(
                format!("this is {}", kind_of(written.get_ref())),
                format!("{heading} on a separate line, once for each"),
            );
            let error = match written.get_ref() {
                DeValue::Table(_) => error.hint(format!("double the brackets: {heading}")),
                _ => error,
            };
            report.add(Some(&written.span()), &path, error);
            return Vec::new();
        };
        self.count_tables(report, key, &written.span(), items);
        let mut read = Vec::new();
        for (at, item) in items.iter().take(most).enumerate() {
            let path = format!("{path}[{at}]");
            let place = item.span();
            if let Some(entries) = item.get_ref().as_table() {
                let place = Some(place);
                let defaults = self.defaults;
                let table = Table::open(report, section, path, place, Some(entries), defaults);
                read.push(table);
            } else {
                let error = ValueError::new(
                    format!("this is {}, not a table", kind_of(item.get_ref())),
                    format!("{heading} on a separate line, once for each"),
                );
                report.add(Some(&place), &path, error);
            }
        }
        read
    }

    fn count_tables(
        &self,
        report: &mut ProblemCollector,
        key: &KeySpec,
        place: &Range<usize>,
        items: &DeArray,
    ) {
        let ValueType::Tables(_, most) = key.kind else {
            return;
        };
        if items.is_empty() {
            if let DefaultValue::Required(example) = key.absent {
                let error =
                    ValueError::new("this list is empty", format!("something like {example}"));
                report.add(Some(place), &self.path_of(key.name), error);
            }
        } else if items.len() > most {
            let error = ValueError::new(
                format!("there are {} of these", format_count(items.len() as u64)),
                format!("at most {most}: {}", key.why),
            );
            report.add(Some(place), &self.path_of(key.name), error);
        }
    }

    /// Whether a key is written as a table (an origin may be either text or table).
    pub(super) fn is_table(&self, name: &str) -> bool {
        self.written(name).is_some_and(|written| written.get_ref().is_table())
    }

    /// Whether a key is written at all, well or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.written(name).is_some()
    }
}

/// The key of `section` that an unknown `name` is probably meant to be, if no other table has a
/// key of exactly that name.
fn meant(section: &'static TableSpec, name: &str) -> Option<&'static str> {
    if ROOT.all().iter().any(|home| home.key(name).is_some()) {
        return None;
    }
    nearest(name, section.keys.iter().map(|key| key.name))
}

fn unknown(section: &'static TableSpec, name: &str) -> ValueError {
    let known: Vec<_> = section.keys.iter().map(|key| key.name).collect();
    let error = ValueError::new(
        format!("{} is not known here", quoted(name)),
        format!("one of {}", known.join(", ")),
    );
    if let Some(meant) = meant(section, name) {
        return error.hint(format!("did you mean `{meant}`?"));
    }
    // A key below the wrong heading.
    let homes: Vec<_> = ROOT
        .all()
        .into_iter()
        .filter(|home| home.key(name).is_some())
        .map(|home| match home.heading {
            "" => "at the top of the file, before the first [table]".to_owned(),
            heading => format!("in {heading}"),
        })
        .collect();
    if homes.is_empty() {
        error
    } else {
        error.hint(format!("`{name}` belongs {}", homes.join(" or ")))
    }
}
