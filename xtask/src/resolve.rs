//! Paths: which file of the crate defines what a path names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::tree::{Crate, FileId, ModuleId, Target, is_reexport, use_leaves};

/// How far one re-export may lead to another. More means a circle of re-exports.
const LONGEST_CHAIN: usize = 24;

/// What a path leads to.
enum Hit {
    Module(ModuleId),
    /// An item by its name, in the file that defines it.
    Item(FileId, String),
}

/// One use of another file's item.
pub struct Import {
    pub from: FileId,
    pub to: FileId,
    /// The item's name where it is defined.
    pub name: String,
    pub line: usize,
}

/// Every use that a file of the crate makes of an item in another one. Declarations of modules and
/// re-exports are none; a path through a re-export leads to the file that defines the item.
#[must_use]
pub fn imports(of: &Crate) -> Vec<Import> {
    let mut found = Vec::new();
    for (file, source) in of.files.iter().enumerate() {
        let mut paths = Paths { of, file, module: source.module, found: Vec::new() };
        paths.visit_file(&source.syntax);
        found.extend(paths.found);
    }
    found
}

impl Crate {
    fn resolve(&self, module: ModuleId, path: &[String], depth: usize) -> Vec<Hit> {
        let mut at = module;
        let mut rest = path;
        let mut relative = false;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => match self.modules[at].parent {
                    Some(parent) => at = parent,
                    None => return Vec::new(),
                },
                _ => break,
            }
            relative = true;
            rest = after;
        }
        match rest.first() {
            // Not a name of this workspace: another crate, a type parameter, a local variable.
            Some(first) if !relative && self.targets(at, first, depth).is_empty() => Vec::new(),
            _ => self.walk(at, rest, depth),
        }
    }

    /// What `rest` names, seen from within module `at`.
    fn walk(&self, at: ModuleId, rest: &[String], depth: usize) -> Vec<Hit> {
        let Some((first, after)) = rest.split_first() else { return vec![Hit::Module(at)] };
        if depth > LONGEST_CHAIN {
            return Vec::new();
        }
        let targets = self.targets(at, first, depth);
        if targets.is_empty() {
            // Made by a macro, or a variant: the module's own.
            return vec![Hit::Item(self.modules[at].file, first.clone())];
        }
        let mut hits = Vec::new();
        for (owner, target) in targets {
            match target {
                Target::Module(child) => hits.extend(self.walk(child, after, depth + 1)),
                Target::Type => hits.push(Hit::Item(self.modules[owner].file, first.clone())),
                Target::Value if after.is_empty() => {
                    hits.push(Hit::Item(self.modules[owner].file, first.clone()));
                }
                Target::Value => {}
                Target::Import(path) => {
                    let whole: Vec<String> = path.iter().chain(after).cloned().collect();
                    // `use name;` of another crate's name would lead back to itself.
                    if path.first() != Some(first) || owner != at || path.len() > 1 {
                        hits.extend(self.resolve(owner, &whole, depth + 1));
                    }
                }
            }
        }
        hits
    }

    /// What a name means in a module, and the module that defines it.
    fn targets(&self, at: ModuleId, name: &str, depth: usize) -> Vec<(ModuleId, Target)> {
        if let Some(targets) = self.modules[at].names.get(name) {
            return targets.iter().map(|target| (at, target.clone())).collect();
        }
        if depth > LONGEST_CHAIN {
            return Vec::new();
        }
        for glob in &self.modules[at].globs {
            for hit in self.resolve(at, glob, depth + 8) {
                if let Hit::Module(module) = hit
                    && module != at
                {
                    let targets = self.targets(module, name, depth + 8);
                    if !targets.is_empty() {
                        return targets;
                    }
                }
            }
        }
        Vec::new()
    }
}

/// Walks one file and notes the paths that lead into other files.
struct Paths<'a> {
    of: &'a Crate,
    file: FileId,
    module: ModuleId,
    found: Vec<Import>,
}

impl Paths<'_> {
    fn note(&mut self, path: &[String], line: usize) {
        for hit in self.of.resolve(self.module, path, 0) {
            // A module is only a name; what is used of it has a path of more parts.
            if let Hit::Item(to, name) = hit
                && to != self.file
            {
                self.found.push(Import { from: self.file, to, name, line });
            }
        }
    }

    /// Paths within the tokens of a macro or an attribute.
    fn note_tokens(&mut self, tokens: TokenStream, texts: bool) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        // A name after a dot is a field's or a method's.
        let mut after_dot = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 && !path.is_empty() {
                        self.note(&std::mem::take(&mut path), line);
                    }
                    if !after_dot {
                        line = name.span().start().line;
                        path.push(name.to_string());
                    }
                    (colons, after_dot) = (0, false);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                other => {
                    if !path.is_empty() {
                        self.note(&std::mem::take(&mut path), line);
                    }
                    colons = 0;
                    after_dot = matches!(&other, TokenTree::Punct(mark) if mark.as_char() == '.');
                    match other {
                        TokenTree::Group(group)
                            if group.delimiter() != Delimiter::None || texts =>
                        {
                            self.note_tokens(group.stream(), texts);
                        }
                        TokenTree::Group(group) => self.note_tokens(group.stream(), texts),
                        TokenTree::Literal(literal) if texts => {
                            let line = literal.span().start().line;
                            self.note_text(&literal.to_string(), line);
                        }
                        _ => {}
                    }
                }
            }
        }
        if !path.is_empty() {
            self.note(&path, line);
        }
    }

    /// A path in a string, as in `#[serde(with = "crate::time")]`.
    fn note_text(&mut self, literal: &str, line: usize) {
        let text = literal.trim_matches('"');
        let parts: Vec<String> = text.split("::").map(str::to_owned).collect();
        let is_name = |part: &String| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if parts.iter().all(is_name) {
            // `with` names a module, whose functions are used.
            for hit in self.of.resolve(self.module, &parts, 0) {
                let (to, name) = match hit {
                    Hit::Module(module) => (self.of.modules[module].file, text.to_owned()),
                    Hit::Item(file, name) => (file, name),
                };
                if to != self.file {
                    self.found.push(Import { from: self.file, to, name, line });
                }
            }
        }
    }
}

impl<'a> Visit<'a> for Paths<'_> {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if item.content.is_none() {
            return;
        }
        let name = item.ident.to_string();
        let child = self.of.modules[self.module].names.get(&name).and_then(|targets| {
            targets.iter().find_map(|target| match target {
                Target::Module(child) => Some(*child),
                _ => None,
            })
        });
        if let Some(child) = child {
            let outer = std::mem::replace(&mut self.module, child);
            visit::visit_item_mod(self, item);
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if is_reexport(item) {
            return;
        }
        for leaf in use_leaves(item) {
            // Names that a glob brings in are noted where they are used.
            if leaf.name.is_some() {
                self.note(&leaf.path, leaf.line);
            }
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            let line = path.segments.first().map_or(0, |s| s.ident.span().start().line);
            self.note(&names, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        if let Some(name) = call.path.get_ident()
            && let Some(to) = self.of.macros.get(&name.to_string())
            && *to != self.file
        {
            let line = name.span().start().line;
            self.found.push(Import { from: self.file, to: *to, name: format!("{name}!"), line });
        }
        self.note_tokens(call.tokens.clone(), false);
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'a syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta
            && !list.path.is_ident("cfg")
        {
            self.note_tokens(list.tokens.clone(), true);
        }
    }
}
