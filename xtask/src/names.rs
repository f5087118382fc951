//! Type names: each names one thing in the whole workspace, and none is a replaced one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::modules::compiled;
use crate::source::{below, parse, read, source_folders};

/// Type names that plainer ones replaced. None of them comes back.
const REPLACED: &[&str] = &[
    "Affected",
    "Allowance",
    "Ambiguous",
    "Announced",
    "Answer",
    "AnswerBody",
    "AnswerHead",
    "Answered",
    "Appearance",
    "Ask",
    "Asked",
    "Assault",
    "Awaited",
    "Bearer",
    "Believer",
    "Beyond",
    "Bot",
    "Bottle",
    "Bounded",
    "Broken",
    "BrokenOff",
    "Burner",
    "Busy",
    "ByActivity",
    "Candidate",
    "Charge",
    "Coding",
    "Cork",
    "Counted",
    "Cuttable",
    "CutVector",
    "Desk",
    "Doors",
    "Draw",
    "Ending",
    "Ends",
    "Engaged",
    "Errand",
    "EvidenceSeen",
    "Eye",
    "Farewell",
    "Fate",
    "Faults",
    "Flaw",
    "Floor",
    "Flow",
    "FromWorker",
    "FullSpeedMoment",
    "GateMark",
    "GateMoment",
    "Gone",
    "Good",
    "Grants",
    "Ground",
    "Heard",
    "Held",
    "Hold",
    "HostStanding",
    "House",
    "IdleLine",
    "InUse",
    "Inbound",
    "Ink",
    "Jar",
    "JournalEnd",
    "Judge",
    "Judged",
    "Judgement",
    "Keeper",
    "Kept",
    "Known",
    "Later",
    "Latencies",
    "Learnt",
    "Lease",
    "Leaves",
    "Lexicon",
    "Line",
    "Lines",
    "Listed",
    "Listened",
    "Listening",
    "Lost",
    "Made",
    "Memory",
    "Mint",
    "Moment",
    "Names",
    "Narrow",
    "Next",
    "Of",
    "Onward",
    "Opened",
    "Opener",
    "OperatorPages",
    "Outgoing",
    "Over",
    "Owner",
    "Pages",
    "Pairs",
    "Passage",
    "Patience",
    "Pieces",
    "Place",
    "PlacedConfig",
    "PlatformStory",
    "Play",
    "Playing",
    "PostureMove",
    "Presence",
    "Present",
    "ProcedureStory",
    "Question",
    "Reaction",
    "Reading",
    "Receiving",
    "Recognised",
    "RefusedWords",
    "Rehearsal",
    "Rehearsed",
    "Rungs",
    "Said",
    "Scan",
    "Seen",
    "Sending",
    "Sense",
    "Serving",
    "Shelf",
    "Shot",
    "Shown",
    "Sighting",
    "Since",
    "Single",
    "SourcesOfRelief",
    "Spread",
    "Stamp",
    "Stance",
    "Standing",
    "Staple",
    "Start",
    "Step",
    "Stridden",
    "Stride",
    "Stroke",
    "Stuck",
    "Sums",
    "SurgeStory",
    "AttackStory",
    "Taken",
    "Tallying",
    "Terms",
    "Text",
    "Ticket",
    "TlsKeep",
    "Told",
    "Top",
    "Topic",
    "Trouble",
    "TunnelTerms",
    "Turn",
    "Unusable",
    "Visit",
    "Visits",
    "Wait",
    "Waiting",
    "Wants",
    "Way",
    "Weighing",
    "Who",
    "Whole",
    "Wire",
    "Within",
];

/// The definition of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// Without its module.
    pub name: String,
    /// File and line, as `crates/gate/src/table.rs:28`.
    pub place: String,
}

/// The types that a file defines outside its tests: structs, enums, unions, traits and aliases.
pub fn defined(text: &str, path: &str) -> syn::Result<Vec<TypeName>> {
    let mut types = Types(Vec::new());
    types.visit_file(&parse(text)?);
    let name = |(name, line)| TypeName { name, place: format!("{path}:{line}") };
    Ok(types.0.into_iter().map(name).collect())
}

/// The types of a whole workspace.
pub fn all(root: &Path) -> Result<Vec<TypeName>> {
    let mut types = Vec::new();
    for folder in source_folders(root)? {
        for (path, text) in compiled(read(&folder)?)? {
            let path = format!("{}/{path}", below(&folder, root));
            types.extend(defined(&text, &path).with_context(|| path.clone())?);
        }
    }
    Ok(types)
}

/// Names that more than one type has, and names that were replaced.
#[must_use]
pub fn faults(types: &[TypeName]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for found in types {
        places.entry(&found.name).or_default().push(&found.place);
    }
    let mut faults = Vec::new();
    for (name, places) in &places {
        if places.len() > 1 {
            faults.push(format!("`{name}` names {} types: {}", places.len(), places.join(", ")));
        }
        if REPLACED.contains(name) {
            faults.push(format!("`{name}` is a replaced name: {}", places.join(", ")));
        }
    }
    faults
}

struct Types(Vec<(String, usize)>);

impl Types {
    fn note(&mut self, name: &syn::Ident) {
        self.0.push((name.to_string(), name.span().start().line));
    }

    /// Types that a macro's tokens define.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut after_keyword = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if after_keyword => {
                    self.note(&name);
                    after_keyword = false;
                }
                TokenTree::Ident(word) => after_keyword = word == "struct" || word == "enum",
                TokenTree::Group(group) => self.note_tokens(group.stream()),
                _ => after_keyword = false,
            }
        }
    }
}

impl<'a> Visit<'a> for Types {
    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        self.note(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'a syn::ItemEnum) {
        self.note(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'a syn::ItemUnion) {
        self.note(&item.ident);
        visit::visit_item_union(self, item);
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.note(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'a syn::ItemType) {
        self.note(&item.ident);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.note_tokens(call.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_type_is_found_wherever_it_is_defined_and_tests_are_not() {
        let text = "
            struct Bare; enum Choice {} trait Ability { type Inner; } type Short = u8;
            mod inner { pub struct Nested; }
            fn f() { struct Local; }
            made! { pub struct FromMacro { a: u8 } }
            macro_rules! made { (struct $name:ident) => { struct $name; } }
            impl Ability for Bare { type Inner = u8; }
            #[cfg(test)] mod tests { struct Tested; }
            #[test] fn g() { struct InTest; }
        ";
        let names: Vec<String> =
            defined(text, "a.rs").unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["Bare", "Choice", "Ability", "Short", "Nested", "Local", "FromMacro"],);
    }

    #[test]
    fn a_name_that_is_defined_twice_and_a_replaced_one_are_faults() {
        let mut types = defined("struct Twice;", "a.rs").unwrap();
        types.extend(defined("\nenum Twice {}\nstruct Once; struct House;", "b.rs").unwrap());
        assert_eq!(
            faults(&types),
            ["`House` is a replaced name: b.rs:3", "`Twice` names 2 types: a.rs:1, b.rs:2"],
        );
    }
}
