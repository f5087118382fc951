use super::*;

fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    check(&sources(files)).unwrap().lines()
}

fn arrows_of(files: &[(&str, &str)]) -> Vec<String> {
    arrows(&sources(files)).unwrap()
}

#[test]
fn two_files_that_import_each_other_are_a_circle_with_the_names_that_tie_it() {
    let lines = found(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B;\nfn f() { let _: Option<super::a::A> = None; }"),
    ]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("circle of 2 files: a.rs b.rs"), "{}", lines[0]);
    assert!(lines[0].contains("a.rs -> b.rs: B (1)"), "{}", lines[0]);
    assert!(lines[0].contains("b.rs -> a.rs: A (2)"), "{}", lines[0]);
    assert!(lines[0].contains("a.rs -> b.rs -> a.rs"), "{}", lines[0]);
}

#[test]
fn a_circle_through_a_third_file_and_a_parent_is_found() {
    let lines = found(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c; pub const N: u8 = c::M;"),
        ("a/b.rs", "pub const L: u8 = super::N;"),
        ("a/c.rs", "use super::b; pub const M: u8 = b::L;"),
    ]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("circle of 3 files"), "{}", lines[0]);
}

#[test]
fn declarations_re_exports_and_tests_are_no_imports() {
    let lines = arrows_of(&[
        ("lib.rs", "mod a; mod b; pub use a::A; pub(crate) use b::*;"),
        ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
        ("b.rs", "pub struct B; #[cfg(test)] use crate::a::A;"),
    ]);
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_path_through_re_exports_and_renames_leads_to_the_file_that_defines_the_item() {
    let lines = arrows_of(&[
        ("lib.rs", "mod a; mod b; pub use a::Renamed; pub use b::inner as other;"),
        ("a.rs", "mod deep; pub use deep::Deep as Renamed;"),
        ("a/deep.rs", "pub struct Deep;"),
        ("b.rs", "pub mod inner; use crate::Renamed; use crate::other; fn f() { other::g() }"),
        ("b/inner.rs", "pub fn g() {}"),
    ]);
    assert_eq!(lines, ["b.rs -> a/deep.rs: Deep (1)", "b.rs -> b/inner.rs: g (1)"],);
}

#[test]
fn globs_function_bodies_macros_and_attributes_are_read_too() {
    let lines = arrows_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; #[macro_use] mod m;"),
        ("a.rs", "use crate::b::*; fn f() -> One { One }"),
        ("b.rs", "pub struct One; pub fn two() {}"),
        ("c.rs", "fn f() { use crate::b; println!(\"{}\", b::two()); shout!(); }"),
        ("d.rs", "#[serde(with = \"crate::b\")] struct S { b: u8 }"),
        ("m.rs", "macro_rules! shout { () => {} }"),
    ]);
    assert_eq!(
        lines,
        [
            "a.rs -> b.rs: One (1)",
            "c.rs -> b.rs: two (1)",
            "c.rs -> m.rs: shout! (1)",
            "d.rs -> b.rs: crate::b (1)"
        ],
    );
}

#[test]
fn other_crates_locals_and_fields_are_not_taken_for_modules() {
    let lines = arrows_of(&[
        ("lib.rs", "mod a; mod time;"),
        (
            "a.rs",
            "use std::time::Instant; use serde::time; fn f(time: S) { dbg!(x.time, time::N); }",
        ),
        ("time.rs", "pub fn now() {}"),
    ]);
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_module_and_a_function_of_one_name_are_distinguished() {
    let lines = arrows_of(&[
        ("lib.rs", "mod check; mod b; pub use check::check;"),
        ("check.rs", "mod parts; pub fn check() {} pub use parts::Part;"),
        ("check/parts.rs", "pub struct Part;"),
        ("b.rs", "use crate::check::Part; fn f() { crate::check() }"),
    ]);
    assert_eq!(lines, ["b.rs -> check.rs: check (1)", "b.rs -> check/parts.rs: Part (1)"],);
}

fn ordered<'a>(order: &'a str, files: &[(&'a str, &'a str)]) -> Vec<String> {
    let mut all = vec![("lib.rs", order)];
    all.extend(files);
    found(&all)
}

#[test]
fn imports_follow_the_stated_order() {
    let files = [
        ("low.rs", "pub const N: u8 = 1;"),
        ("a.rs", "use crate::low::N;"),
        ("b.rs", "mod part; use crate::low::N; use part::P;"),
        ("b/part.rs", "pub struct P;"),
    ];
    let order = "//! What.\n\n// module order: low\n// module order: a b\n\nmod low; mod a; mod b;";
    assert_eq!(ordered(order, &files), Vec::<String>::new());
    let wrong = order.replace("low\n", "b\n").replace("a b", "low a");
    assert_eq!(
        ordered(&wrong, &files),
        [
            "against the order of lib.rs: a.rs -> low.rs: N (1)",
            "against the order of lib.rs: b.rs -> low.rs: N (1)",
        ],
    );
}

#[test]
fn an_order_names_every_module_once_and_no_other() {
    let files = [("a.rs", ""), ("b.rs", "")];
    let order = "// module order: a a c\nmod a; mod b;";
    assert_eq!(
        ordered(order, &files),
        [
            "lib.rs: the order names `a` twice",
            "lib.rs: module `b` is missing from the order",
            "lib.rs: the order names `c`, and no such module is there",
        ],
    );
}

#[test]
fn what_is_in_the_root_of_an_ordered_crate_is_above_its_modules() {
    let order = "// module order: a\nmod a; pub struct Root;";
    assert_eq!(
        ordered(order, &[("a.rs", "use crate::Root;")]),
        ["uses an item of the crate's root: a.rs -> lib.rs: Root (1)"],
    );
}

#[test]
fn many_files_without_an_order_are_a_finding_in_a_crate_and_in_a_folder() {
    let modules: Vec<String> = (0..11).map(|index| format!("m{index}")).collect();
    let declared: String = modules.iter().map(|name| format!("mod {name};")).collect();
    let mut files = Sources::new();
    files.insert("lib.rs".to_owned(), "// module order: deep\nmod deep;".to_owned());
    files.insert("deep.rs".to_owned(), declared);
    for name in &modules {
        files.insert(format!("deep/{name}.rs"), String::new());
    }
    let found = check(&files).unwrap().lines();
    assert_eq!(
        found,
        ["deep.rs: 11 files and no order. State it at the head: `// module order: lowest …`"],
    );
}

#[test]
fn a_file_that_only_tests_declare_is_not_compiled_outside_them() {
    let all = sources(&[
        ("lib.rs", "mod a; #[cfg(test)] mod tests;"),
        ("a.rs", "#[cfg(test)] mod tests;"),
        ("a/tests.rs", ""),
        ("tests.rs", ""),
        ("main.rs", ""),
        ("forgotten.rs", ""),
    ]);
    let paths: Vec<String> = compiled(all).unwrap().into_keys().collect();
    assert_eq!(paths, ["a.rs", "lib.rs", "main.rs"]);
}
