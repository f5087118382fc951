//! The words that the checker knows, from `lexicon.txt`, with their inflected forms.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::tokens::SentenceToken;

/// What kind of word an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WordKind {
    Noun,
    Verb,
    Adjective,
    Determiner,
    Pronoun,
    Auxiliary,
    Modal,
    Negation,
    Connector,
    Punctuation,
    Other,
}

/// The form of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it is listed; of a verb, the infinitive and the present.
    Base,
    /// The plural of a noun.
    Plural,
    /// The third person of a verb's present.
    Third,
    /// The past of a verb, which is not its participle.
    Past,
    /// The participle of a verb, which is not its past.
    Participle,
    /// The past and the participle of a verb.
    PastOrParticiple,
    /// The present participle of a verb.
    Ing,
}

/// One entry of the lexicon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LexiconEntry {
    words: Vec<String>,
    pub(super) kind: WordKind,
    /// The class: `Attack`, `block`.
    pub(super) class: &'static str,
    pub(super) form: Form,
}

/// Every entry by its first word, the longest first.
pub(super) struct WordTable(BTreeMap<String, Vec<LexiconEntry>>);

static LEXICON: LazyLock<WordTable> =
    LazyLock::new(|| WordTable::read(include_str!("lexicon.txt")));

/// The lexicon.
pub(super) fn lexicon() -> &'static WordTable {
    &LEXICON
}

impl WordTable {
    fn read(text: &'static str) -> Self {
        let mut entries: BTreeMap<String, Vec<LexiconEntry>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((head, phrases)) = line.split_once(": ") else { continue };
            let Some((kind, class)) = head.split_once(' ') else { continue };
            let kind = kind_of(kind);
            let joined = if phrases.starts_with(',') {
                vec![phrases]
            } else {
                phrases.split(", ").collect()
            };
            for phrase in joined {
                for (words, form) in forms(kind, phrase) {
                    let first = words.first().cloned().unwrap_or_default();
                    entries.entry(first).or_default().push(LexiconEntry {
                        words,
                        kind,
                        class,
                        form,
                    });
                }
            }
        }
        for list in entries.values_mut() {
            list.sort_by_key(|entry| core::cmp::Reverse(entry.words.len()));
        }
        Self(entries)
    }

    /// The entries that begin at `at`, with the number of their tokens: the longest first.
    pub(super) fn at<'a>(
        &'a self,
        tokens: &'a [SentenceToken],
        at: usize,
    ) -> impl Iterator<Item = (&'a LexiconEntry, usize)> {
        let first = tokens.get(at).and_then(|token| self.0.get(&token.text));
        first.into_iter().flatten().filter_map(move |entry| {
            let rest = tokens.get(at..at + entry.words.len())?;
            let same = rest.iter().zip(&entry.words).all(|(token, word)| token.is(word));
            same.then_some((entry, entry.words.len()))
        })
    }

    /// Whether a word is in any entry: a sign that the text is English.
    pub(super) fn begins(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }
}

fn kind_of(name: &str) -> WordKind {
    match name {
        "noun" => WordKind::Noun,
        "verb" => WordKind::Verb,
        "adj" => WordKind::Adjective,
        "det" => WordKind::Determiner,
        "pron" => WordKind::Pronoun,
        "aux" => WordKind::Auxiliary,
        "modal" => WordKind::Modal,
        "neg" => WordKind::Negation,
        "conn" => WordKind::Connector,
        "punct" => WordKind::Punctuation,
        _ => WordKind::Other,
    }
}

/// A phrase in all its forms.
fn forms(kind: WordKind, phrase: &str) -> Vec<(Vec<String>, Form)> {
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    match kind {
        WordKind::Noun => match phrase.strip_suffix('!') {
            Some(fixed) => vec![(words(fixed), Form::Base)],
            None => vec![(words(phrase), Form::Base), (words(&plural(phrase)), Form::Plural)],
        },
        WordKind::Verb => {
            let (verb, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
            let with_rest = |verb: String| {
                let all = if rest.is_empty() { verb } else { format!("{verb} {rest}") };
                words(&all)
            };
            inflected(verb).into_iter().map(|(verb, form)| (with_rest(verb), form)).collect()
        }
        WordKind::Auxiliary if matches!(phrase, "was" | "were" | "had" | "did" | "got") => {
            vec![(words(phrase), Form::Past)]
        }
        _ => vec![(words(phrase), Form::Base)],
    }
}

fn plural(noun: &str) -> String {
    if noun.ends_with("person") {
        return noun.replace("person", "people");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun.ends_with(['s', 'x']) || noun.ends_with("ch") || noun.ends_with("sh") => {
            format!("{noun}es")
        }
        _ => format!("{noun}s"),
    }
}

/// Verbs whose past or participle is not regular.
const IRREGULAR: &[(&str, &str, &str)] = &[
    ("be", "was", "been"),
    ("beat", "beat", "beaten"),
    ("become", "became", "become"),
    ("begin", "began", "begun"),
    ("break", "broke", "broken"),
    ("bring", "brought", "brought"),
    ("catch", "caught", "caught"),
    ("come", "came", "come"),
    ("cope", "coped", "coped"),
    ("cut", "cut", "cut"),
    ("deal", "dealt", "dealt"),
    ("fall", "fell", "fallen"),
    ("fight", "fought", "fought"),
    ("find", "found", "found"),
    ("get", "got", "got"),
    ("give", "gave", "given"),
    ("go", "went", "gone"),
    ("grow", "grew", "grown"),
    ("have", "had", "had"),
    ("hit", "hit", "hit"),
    ("hold", "held", "held"),
    ("hurt", "hurt", "hurt"),
    ("keep", "kept", "kept"),
    ("knock", "knocked", "knocked"),
    ("know", "knew", "known"),
    ("lead", "led", "led"),
    ("let", "let", "let"),
    ("lose", "lost", "lost"),
    ("make", "made", "made"),
    ("meet", "met", "met"),
    ("outstrip", "outstripped", "outstripped"),
    ("overcome", "overcame", "overcome"),
    ("put", "put", "put"),
    ("read", "read", "read"),
    ("rise", "rose", "risen"),
    ("rewrite", "rewrote", "rewritten"),
    ("run", "ran", "run"),
    ("say", "said", "said"),
    ("see", "saw", "seen"),
    ("seek", "sought", "sought"),
    ("send", "sent", "sent"),
    ("set", "set", "set"),
    ("shed", "shed", "shed"),
    ("shoot", "shot", "shot"),
    ("show", "showed", "shown"),
    ("shut", "shut", "shut"),
    ("speak", "spoke", "spoken"),
    ("spring", "sprang", "sprung"),
    ("stand", "stood", "stood"),
    ("steal", "stole", "stolen"),
    ("swing", "swung", "swung"),
    ("take", "took", "taken"),
    ("tell", "told", "told"),
    ("throw", "threw", "thrown"),
    ("understand", "understood", "understood"),
    ("undo", "undid", "undone"),
    ("undergo", "underwent", "undergone"),
    ("uphold", "upheld", "upheld"),
    ("withdraw", "withdrew", "withdrawn"),
    ("withstand", "withstood", "withstood"),
    ("write", "wrote", "written"),
    ("ddos", "ddosed", "ddosed"),
    ("choose", "chose", "chosen"),
    ("mean", "meant", "meant"),
    ("pay", "paid", "paid"),
    ("do", "did", "done"),
    ("spend", "spent", "spent"),
    ("spread", "spread", "spread"),
    ("feel", "felt", "felt"),
    ("leave", "left", "left"),
];

/// Verbs that double their last letter.
const DOUBLING: &[&str] = &[
    "stop", "drop", "log", "flag", "spot", "refer", "submit", "top", "begin", "hit", "get", "set",
    "put", "run", "shut", "cut", "shed", "let", "bat", "step", "plan", "swap", "outstrip", "span",
    "repel", "control", "occur", "admit", "commit", "transfer", "deter", "trap", "scan", "slip",
    "cancel", "fit", "omit", "compel",
];

fn inflected(verb: &str) -> Vec<(String, Form)> {
    let stem = verb.strip_suffix('e').unwrap_or(verb);
    let doubled = DOUBLING.contains(&verb).then(|| {
        let last = verb.chars().next_back().unwrap_or_default();
        format!("{verb}{last}")
    });
    let third = match verb {
        "have" => "has".to_owned(),
        "go" => "goes".to_owned(),
        "do" => "does".to_owned(),
        "be" => "is".to_owned(),
        _ => plural(verb),
    };
    let regular = match (&doubled, verb.strip_suffix('y')) {
        (Some(doubled), _) => format!("{doubled}ed"),
        (None, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ied"),
        (None, _) => format!("{stem}ed"),
    };
    let ing = match (&doubled, verb) {
        (_, "be" | "see") => format!("{verb}ing"),
        (Some(doubled), _) => format!("{doubled}ing"),
        (None, _) => format!("{stem}ing"),
    };
    let mut all = vec![(verb.to_owned(), Form::Base), (third, Form::Third), (ing, Form::Ing)];
    match IRREGULAR.iter().find(|(base, _, _)| *base == verb) {
        Some((_, past, participle)) if past == participle => {
            all.push(((*past).to_owned(), Form::PastOrParticiple));
        }
        Some((_, past, participle)) => {
            all.push(((*past).to_owned(), Form::Past));
            all.push(((*participle).to_owned(), Form::Participle));
        }
        None => all.push((regular, Form::PastOrParticiple)),
    }
    if verb == "be" {
        for (word, form) in [("are", Form::Base), ("were", Form::Past), ("am", Form::Base)] {
            all.push((word.to_owned(), form));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn words_are_known_in_all_their_forms() {
        let class = |text: &str| {
            let tokens = tokens(text, 0);
            let first = lexicon().at(&tokens, 0).next();
            first.map(|(entry, n)| (entry.class, n))
        };
        assert_eq!(class("were attacked"), Some(("be", 1)));
        assert_eq!(class("attacks"), Some(("Attack", 1)));
        assert_eq!(class("fended off"), Some(("block", 2)));
        assert_eq!(class("repelled"), Some(("block", 1)));
        assert_eq!(class("no longer"), Some(("Not", 2)));
        assert_eq!(class("zebra"), None);
    }

    #[test]
    fn every_line_of_the_lexicon_is_read() {
        for line in include_str!("lexicon.txt").lines() {
            let comment = line.is_empty() || line.starts_with('#');
            assert!(comment || line.contains(": "), "{line}");
        }
    }
}
