//! The modules of a crate: which file each is in, and which names each defines or imports.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

use crate::source::{Sources, parse};

/// An index into [`Crate::modules`].
pub type ModuleId = usize;
/// An index into [`Crate::files`].
pub type FileId = usize;

/// One crate, read from its root file along its `mod` declarations.
#[derive(Default)]
pub struct Crate {
    pub modules: Vec<Module>,
    pub files: Vec<SourceFile>,
    /// Macros by name: they are in scope by text, not by path.
    pub macros: BTreeMap<String, FileId>,
}

/// A file of the crate, without what only tests compile.
pub struct SourceFile {
    /// Its path below the source folder.
    pub path: String,
    pub syntax: syn::File,
    /// The module whose content the file is.
    pub module: ModuleId,
}

/// A module: a file, or part of one.
pub struct Module {
    pub parent: Option<ModuleId>,
    /// Its path in the crate; empty for the root.
    pub path: Vec<String>,
    pub file: FileId,
    pub names: BTreeMap<String, Vec<Target>>,
    /// `use path::*`.
    pub globs: Vec<Vec<String>>,
}

/// What a name in a module means.
#[derive(Clone)]
pub enum Target {
    Module(ModuleId),
    /// A struct, enum, union, trait or alias of this module.
    Type,
    /// A function, constant, static or macro of this module.
    Value,
    /// The path of a `use`.
    Import(Vec<String>),
}

/// One leaf of a `use` tree: the name that it brings in, and its path.
pub struct UseLeaf {
    /// `None` for a glob.
    pub name: Option<String>,
    pub path: Vec<String>,
    pub line: usize,
}

impl Crate {
    /// Reads the crate whose root is the file `root` of `sources`.
    pub fn read(sources: &Sources, root: &str) -> Result<Self> {
        let mut found = Self::default();
        let folder = folder_of(root);
        found.add_file(sources, root, None, Vec::new(), &folder)?;
        Ok(found)
    }

    fn add_file(
        &mut self,
        sources: &Sources,
        path: &str,
        parent: Option<ModuleId>,
        name: Vec<String>,
        folder: &str,
    ) -> Result<ModuleId> {
        let text = sources.get(path).with_context(|| format!("{path} is missing"))?;
        let syntax = parse(text).with_context(|| format!("{path} is no Rust"))?;
        let module = self.modules.len();
        let file = self.files.len();
        let items = syntax.items.clone();
        self.files.push(SourceFile { path: path.to_owned(), syntax, module });
        self.add_module(parent, name, file);
        self.add_items(sources, &items, module, folder)?;
        Ok(module)
    }

    fn add_module(&mut self, parent: Option<ModuleId>, path: Vec<String>, file: FileId) {
        let names = BTreeMap::new();
        self.modules.push(Module { parent, path, file, names, globs: Vec::new() });
    }

    fn define(&mut self, module: ModuleId, name: &impl ToString, target: Target) {
        self.modules[module].names.entry(name.to_string()).or_default().push(target);
    }

    fn add_items(
        &mut self,
        sources: &Sources,
        items: &[Item],
        module: ModuleId,
        folder: &str,
    ) -> Result<()> {
        for item in items {
            match item {
                Item::Struct(item) => self.define(module, &item.ident, Target::Type),
                Item::Enum(item) => self.define(module, &item.ident, Target::Type),
                Item::Union(item) => self.define(module, &item.ident, Target::Type),
                Item::Trait(item) => self.define(module, &item.ident, Target::Type),
                Item::TraitAlias(item) => self.define(module, &item.ident, Target::Type),
                Item::Type(item) => self.define(module, &item.ident, Target::Type),
                Item::Fn(item) => self.define(module, &item.sig.ident, Target::Value),
                Item::Const(item) => self.define(module, &item.ident, Target::Value),
                Item::Static(item) => self.define(module, &item.ident, Target::Value),
                Item::Macro(item) => {
                    if let Some(name) = &item.ident {
                        self.define(module, name, Target::Value);
                        self.macros.insert(name.to_string(), self.modules[module].file);
                    }
                }
                Item::Mod(item) => self.add_mod(sources, item, module, folder)?,
                Item::Use(item) => self.add_use(module, item),
                _ => {}
            }
            // Imports in function bodies: their names are taken as the whole module's.
            let mut inner = InnerUses(Vec::new());
            if !matches!(item, Item::Mod(_) | Item::Use(_)) {
                inner.visit_item(item);
            }
            for item in &inner.0 {
                self.add_use(module, item);
            }
        }
        Ok(())
    }

    fn add_mod(
        &mut self,
        sources: &Sources,
        item: &syn::ItemMod,
        parent: ModuleId,
        folder: &str,
    ) -> Result<()> {
        let name = item.ident.to_string();
        let mut path = self.modules[parent].path.clone();
        path.push(name.clone());
        let child = if let Some((_, items)) = &item.content {
            let child = self.modules.len();
            self.add_module(Some(parent), path, self.modules[parent].file);
            self.add_items(sources, items, child, &join(folder, &name))?;
            child
        } else {
            let file = &self.files[self.modules[parent].file].path;
            let candidates = match stated_path(item) {
                Some(stated) => vec![join(&folder_of(file), &stated)],
                None => ["", "/mod"].map(|end| join(folder, &format!("{name}{end}.rs"))).into(),
            };
            let Some(found) = candidates.iter().find(|path| sources.contains_key(*path)) else {
                bail!("module {} of {file} has no file", path.join("::"));
            };
            let below = if found.ends_with("/mod.rs") || stated_path(item).is_some() {
                folder_of(found)
            } else {
                join(folder, &name)
            };
            self.add_file(sources, found, Some(parent), path, &below)?
        };
        self.define(parent, &name, Target::Module(child));
        Ok(())
    }

    fn add_use(&mut self, module: ModuleId, item: &syn::ItemUse) {
        for leaf in use_leaves(item) {
            match leaf.name {
                Some(name) => self.define(module, &name, Target::Import(leaf.path)),
                None => self.modules[module].globs.push(leaf.path),
            }
        }
    }
}

/// Is this `use` part of an interface, rather than an import?
#[must_use]
pub fn is_reexport(item: &syn::ItemUse) -> bool {
    !matches!(item.vis, Visibility::Inherited)
}

/// The leaves of a `use`, without those from outside the crate that say so (`use ::name`).
#[must_use]
pub fn use_leaves(item: &syn::ItemUse) -> Vec<UseLeaf> {
    let mut leaves = Vec::new();
    if item.leading_colon.is_none() {
        add_leaves(&item.tree, &mut Vec::new(), &mut leaves);
    }
    leaves
}

fn add_leaves(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<UseLeaf>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            add_leaves(&path.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Name(name) => add_leaf(&name.ident, &name.ident, prefix, leaves),
        UseTree::Rename(rename) => add_leaf(&rename.ident, &rename.rename, prefix, leaves),
        UseTree::Glob(glob) => leaves.push(UseLeaf {
            name: None,
            path: prefix.clone(),
            line: glob.star_token.spans[0].start().line,
        }),
        UseTree::Group(group) => {
            for item in &group.items {
                add_leaves(item, prefix, leaves);
            }
        }
    }
}

fn add_leaf(from: &syn::Ident, to: &syn::Ident, prefix: &[String], leaves: &mut Vec<UseLeaf>) {
    let mut path = prefix.to_vec();
    let mut name = to.to_string();
    if from == "self" && !path.is_empty() {
        if to == "self" {
            name = path.last().cloned().unwrap_or_default();
        }
    } else {
        path.push(from.to_string());
    }
    leaves.push(UseLeaf { name: Some(name), path, line: from.span().start().line });
}

/// The `use` items within function bodies.
struct InnerUses(Vec<syn::ItemUse>);

impl<'a> Visit<'a> for InnerUses {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.0.push(item.clone());
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        visit::visit_item_mod(self, item);
    }
}

/// The path in `#[path = "…"]`.
fn stated_path(item: &syn::ItemMod) -> Option<String> {
    item.attrs.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(literal) = &pair.value else { return None };
        let syn::Lit::Str(text) = &literal.lit else { return None };
        pair.path.is_ident("path").then(|| text.value())
    })
}

fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
