//! Source files: which there are, and their syntax without the tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Meta, Token};

/// Rust files by their path below a folder, with `/` between its parts.
pub type Sources = BTreeMap<String, String>;

/// The root of this workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap_or_default()
}

/// Every file below `folder` whose name ends in one of `endings`, sorted. Build output and hidden
/// folders are left out.
pub fn files(folder: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                found.extend(files(&path, endings)?);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The Rust files below `folder`.
pub fn read(folder: &Path) -> io::Result<Sources> {
    let mut sources = Sources::new();
    for path in files(folder, &[".rs"])? {
        let text = std::fs::read_to_string(&path)?;
        sources.insert(below(&path, folder), text);
    }
    Ok(sources)
}

/// A path as it reads from `folder`.
#[must_use]
pub fn below(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The `src` folders of a workspace: its crates, the benchmark's load and these rules.
pub fn source_folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        folders.push(entry?.path().join("src"));
    }
    folders.extend([root.join("bench/load/src"), root.join("xtask/src")]);
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    Ok(folders)
}

/// The syntax of a file without what only tests compile.
pub fn parse(text: &str) -> syn::Result<syn::File> {
    let mut file = syn::parse_file(text)?;
    WithoutTests.visit_file_mut(&mut file);
    Ok(file)
}

/// Does an item with these attributes exist only in tests?
fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg")
            && list.parse_args::<Meta>().is_ok_and(|condition| holds(&condition) == Some(false))
    })
}

/// Whether a `cfg` condition holds outside tests; `None` where it depends on the platform or on a
/// feature.
fn holds(condition: &Meta) -> Option<bool> {
    match condition {
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::List(list) => {
            let parts = list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .map(|parts| parts.iter().map(holds).collect::<Vec<_>>())
                .unwrap_or_default();
            if list.path.is_ident("not") {
                parts.first().copied().flatten().map(|part| !part)
            } else if list.path.is_ident("all") {
                parts.contains(&Some(false)).then_some(false)
            } else if list.path.is_ident("any") {
                parts.iter().all(|part| *part == Some(false)).then_some(false)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Removes from a syntax tree what only tests compile.
struct WithoutTests;

impl WithoutTests {
    fn keep_items(items: &mut Vec<syn::Item>) {
        items.retain(|item| !only_in_tests(attributes(item)));
    }
}

fn attributes(item: &syn::Item) -> &[Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        Self::keep_items(&mut file.items);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            Self::keep_items(items);
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        item.items.retain(|item| {
            !only_in_tests(match item {
                syn::ImplItem::Const(item) => &item.attrs,
                syn::ImplItem::Fn(item) => &item.attrs,
                syn::ImplItem::Type(item) => &item.attrs,
                syn::ImplItem::Macro(item) => &item.attrs,
                _ => &[],
            })
        });
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_item_trait_mut(&mut self, item: &mut syn::ItemTrait) {
        item.items.retain(|item| {
            !only_in_tests(match item {
                syn::TraitItem::Const(item) => &item.attrs,
                syn::TraitItem::Fn(item) => &item.attrs,
                syn::TraitItem::Type(item) => &item.attrs,
                syn::TraitItem::Macro(item) => &item.attrs,
                _ => &[],
            })
        });
        visit_mut::visit_item_trait_mut(self, item);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| {
            !only_in_tests(match statement {
                syn::Stmt::Local(local) => &local.attrs,
                syn::Stmt::Item(item) => attributes(item),
                syn::Stmt::Macro(call) => &call.attrs,
                syn::Stmt::Expr(syn::Expr::Block(block), _) => &block.attrs,
                syn::Stmt::Expr(..) => &[],
            })
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_expr_match_mut(&mut self, matched: &mut syn::ExprMatch) {
        matched.arms.retain(|arm| !only_in_tests(&arm.attrs));
        visit_mut::visit_expr_match_mut(self, matched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text)
            .unwrap()
            .items
            .iter()
            .map(|item| match item {
                syn::Item::Fn(item) => item.sig.ident.to_string(),
                syn::Item::Mod(item) => item.ident.to_string(),
                _ => panic!("a function or a module"),
            })
            .collect()
    }

    #[test]
    fn what_only_tests_compile_is_left_out_wherever_it_is_in_the_file() {
        let text = "
            #[cfg(test)] mod early {}
            fn outer() {}
            #[cfg(all(unix, test))] fn both() {}
            #[test] fn tested() {}
            #[cfg(any(test, fuzzing))] fn either() {}
            #[cfg(not(test))] fn outside() {}
            #[cfg(unix)] mod platform {}
        ";
        assert_eq!(names(text), ["outer", "either", "outside", "platform"]);
    }

    #[test]
    fn methods_statements_and_arms_of_tests_are_left_out_too() {
        let text = "impl X { #[cfg(test)] fn a() {} fn b() { #[cfg(test)] let c = 1;
            match d { #[cfg(test)] 1 => {} _ => {} } } }";
        let file = parse(text).unwrap();
        let syn::Item::Impl(item) = &file.items[0] else { panic!("an impl") };
        let [syn::ImplItem::Fn(method)] = item.items.as_slice() else { panic!("one method") };
        assert_eq!(method.sig.ident, "b");
        let [syn::Stmt::Expr(syn::Expr::Match(matched), _)] = method.block.stmts.as_slice() else {
            panic!("one statement");
        };
        assert_eq!(matched.arms.len(), 1);
    }
}
