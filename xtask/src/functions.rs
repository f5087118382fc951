//! Long functions, and functions of many parameters: each is reviewed.
//!
//! The list of those that were reviewed has a line each: crate, function, reason. A function that
//! grows over a bound without a line is a finding, and so is a line that nothing needs any more.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::modules::compiled;
use crate::source::{below, parse, read, source_folders};

/// Lines of a function, from its name to its last brace, without empty ones and comments.
pub const MOST_LINES: usize = 60;
/// Parameters, without `self`.
pub const MOST_PARAMETERS: usize = 6;

/// A function over one of the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// `Type::name`, or the name alone outside an `impl`.
    pub name: String,
    /// File and line.
    pub place: String,
    /// Lines of code.
    pub lines: usize,
    /// Without `self`.
    pub parameters: usize,
}

/// The functions of a file that exceed a bound.
pub fn long(text: &str, path: &str) -> syn::Result<Vec<Function>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut walk = FunctionWalk { lines: &lines, path, owner: None, found: Vec::new() };
    walk.visit_file(&parse(text)?);
    Ok(walk.found)
}

/// Those of a whole workspace, by `crate function`.
pub fn all(root: &Path) -> Result<BTreeMap<String, Function>> {
    let mut functions = BTreeMap::new();
    for folder in source_folders(root)? {
        let krate = below(folder.parent().unwrap_or(&folder), root);
        let krate = krate.strip_prefix("crates/").unwrap_or(&krate).to_owned();
        for (path, text) in compiled(read(&folder)?)? {
            let path = format!("{}/{path}", below(&folder, root));
            let found = long(&text, &path).with_context(|| path.clone())?;
            functions.extend(found.into_iter().map(|one| (format!("{krate} {}", one.name), one)));
        }
    }
    Ok(functions)
}

/// Functions without a line in the list, lines without a function, and lines without a reason.
#[must_use]
pub fn faults(functions: &BTreeMap<String, Function>, list: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut listed = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let mut parts = line.splitn(3, ' ');
        let key = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()].join(" ");
        if parts.next().is_none_or(|reason| reason.trim().is_empty()) {
            faults.push(format!("no reason in the line: {line}"));
        }
        listed.insert(key, line);
    }
    for (key, one) in functions {
        if !listed.contains_key(key) {
            faults.push(format!(
                "{key} ({}): {} lines, {} parameters. Split it if it has two duties, else list it",
                one.place, one.lines, one.parameters
            ));
        }
    }
    for key in listed.keys().filter(|key| !functions.contains_key(*key)) {
        faults.push(format!("{key} is listed and needs it no longer"));
    }
    faults
}

struct FunctionWalk<'a> {
    lines: &'a [&'a str],
    path: &'a str,
    owner: Option<String>,
    found: Vec<Function>,
}

impl FunctionWalk<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.span().end().line;
        let lines = self.lines[first - 1..last]
            .iter()
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
            .count();
        let is_typed = |input: &&syn::FnArg| matches!(input, syn::FnArg::Typed(_));
        let parameters = signature.inputs.iter().filter(is_typed).count();
        if lines > MOST_LINES || parameters > MOST_PARAMETERS {
            let name = signature.ident.to_string();
            let name = self.owner.as_ref().map_or(name.clone(), |owner| format!("{owner}::{name}"));
            let place = format!("{}:{first}", self.path);
            self.found.push(Function { name, place, lines, parameters });
        }
    }
}

impl<'a> Visit<'a> for FunctionWalk<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> String {
        let body = "        let _ = 1;\n        // why\n\n".repeat(70);
        let short = "    let _ = 1;\n".repeat(50);
        format!(
            "impl Thing {{\n    fn long(&self) {{\n{body}    }}\n}}\n\
             fn short() {{\n{short}}}\n\
             fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {{}}\n"
        )
    }

    #[test]
    fn lines_of_code_and_parameters_are_counted() {
        let found = long(&source(), "a.rs").unwrap();
        let seen: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.lines, one.parameters)).collect();
        assert_eq!(seen, [("Thing::long", 72, 0), ("many", 1, 7)]);
    }

    #[test]
    fn the_list_has_a_reason_for_each_and_no_line_too_many() {
        let found: BTreeMap<String, Function> = long(&source(), "a.rs")
            .unwrap()
            .into_iter()
            .map(|one| (format!("edge {}", one.name), one))
            .collect();
        let list = "# crate function reason\nedge Thing::long one table\nedge many\nedge gone it was long\n";
        assert_eq!(
            faults(&found, list),
            ["no reason in the line: edge many", "edge gone is listed and needs it no longer"],
        );
        assert_eq!(faults(&found, "").len(), 2);
    }
}
