//! What a crate without a clock, a socket, a file or randomness must not name.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::source::parse;
use crate::tree::use_leaves;

/// Modules of the standard library that reach outside the process.
const MODULES: &[&str] = &["std::fs", "std::env", "std::thread", "std::process"];

/// Names that bring a clock, a socket, randomness, or an order that differs between two runs.
const NAMES: &[&str] = &[
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "HashMap",
    "HashSet",
    "RandomState",
    "thread_rng",
    "rand",
    "getrandom",
    "tokio",
    "println",
    "print",
    "eprintln",
    "eprint",
    "dbg",
];

/// The impure names of a file, outside its tests: line and path.
pub fn impure(text: &str) -> syn::Result<Vec<(usize, String)>> {
    let mut walk = PurityWalk(Vec::new());
    walk.visit_file(&parse(text)?);
    walk.0.sort();
    walk.0.dedup();
    Ok(walk.0)
}

fn is_impure(path: &[String]) -> bool {
    let text = path.join("::");
    path.iter().any(|part| NAMES.contains(&part.as_str()))
        || text.ends_with("Instant::now")
        || MODULES.iter().any(|module| {
            text.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
}

struct PurityWalk(Vec<(usize, String)>);

impl PurityWalk {
    fn note(&mut self, path: &[String], line: usize) {
        if is_impure(path) {
            self.0.push((line, path.join("::")));
        }
    }

    /// Paths in the tokens of a macro.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    line = name.span().start().line;
                    path.push(name.to_string());
                    self.note(&path, line);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {}
                TokenTree::Group(group) => {
                    path.clear();
                    self.note_tokens(group.stream());
                }
                _ => path.clear(),
            }
        }
        self.note(&path, line);
    }
}

impl<'a> Visit<'a> for PurityWalk {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        for leaf in use_leaves(item) {
            self.note(&leaf.path, leaf.line);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |part| part.ident.span().start().line);
        self.note(&parts, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.note_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impure_names_are_found_in_groups_of_imports_bodies_and_macros() {
        let text = "
            use std::{collections::{BTreeMap, HashMap}, fs, time::Instant};
            fn f() { let _ = Instant::now(); println!(\"{}\", std::env::args().count()); }
            fn g(at: Instant) -> std::time::Duration { at.elapsed() }
            #[cfg(test)] mod tests { use std::fs; }
        ";
        let found: Vec<String> = impure(text).unwrap().into_iter().map(|(_, path)| path).collect();
        assert_eq!(
            found,
            [
                "std::collections::HashMap",
                "std::fs",
                "Instant::now",
                "println",
                "std::env",
                "std::env::args"
            ],
        );
    }
}
