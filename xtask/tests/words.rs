//! Words: none of the avoided phrases in what people read, and nothing unfinished.

use xtask::source::{below, files, workspace};
use xtask::words::{AVOIDED, checked, find, texts};

#[test]
fn no_avoided_phrase_is_left_outside_quotations() {
    let root = workspace();
    let mut faults = Vec::new();
    for path in texts(&root).expect("texts") {
        let text = std::fs::read_to_string(&path).expect("a text");
        let path = below(&path, &root);
        faults.extend(find(&checked(&path, &text), AVOIDED).iter().map(|found| {
            format!("{path}:{}: “{}”; write: {}", found.line, found.phrase, found.instead)
        }));
    }
    assert!(faults.is_empty(), "{} phrases\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "XX".to_owned() + "X"];
    let root = workspace();
    let mut found = Vec::new();
    for path in files(&root.join("crates"), &[".rs"]).expect("crates") {
        let text = std::fs::read_to_string(&path).expect("a source file");
        for mark in marks.iter().filter(|mark| text.contains(mark.as_str())) {
            found.push(format!("{}: {mark}", below(&path, &root)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
