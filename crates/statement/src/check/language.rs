//! Whether a sentence is English.

use super::lexicon::lexicon;
use super::tokens::SentenceToken;

/// Frequent words of other languages that are no English words.
const FOREIGN: &[&str] = &[
    "el",
    "la",
    "los",
    "las",
    "del",
    "que",
    "por",
    "para",
    "una",
    "fue",
    "han",
    "sido",
    "nuestro",
    "nuestra",
    "le",
    "les",
    "des",
    "du",
    "et",
    "nous",
    "notre",
    "nos",
    "est",
    "une",
    "sur",
    "pas",
    "avons",
    "dans",
    "der",
    "das",
    "und",
    "ist",
    "nicht",
    "wir",
    "unsere",
    "ein",
    "eine",
    "wurde",
    "wurden",
    "auf",
    "zu",
    "kein",
    "keine",
    "den",
    "dem",
    "il",
    "lo",
    "gli",
    "della",
    "di",
    "che",
    "nostro",
    "nostra",
    "stato",
    "stata",
    "sono",
    "non",
    "het",
    "een",
    "van",
    "niet",
    "onze",
    "zijn",
    "werd",
    "och",
    "det",
    "att",
    "som",
    "inte",
    "vi",
    "har",
    "jest",
    "nie",
    "nasza",
    "przez",
    "o",
    "os",
    "foi",
    "nosso",
    "nossa",
    "uma",
    "ha",
    "se",
    "y",
    "al",
    "un",
    "zur",
    "sind",
    "bei",
    "von",
    "yn",
    "wedi",
    "ein",
    "ei",
    "cafodd",
    "ymosodiad",
    "gan",
];

/// Whether a sentence is not written in English: it has words of another language, or nearly none
/// that the lexicon knows.
pub(super) fn is_foreign(tokens: &[SentenceToken]) -> bool {
    let words: Vec<&str> = tokens
        .iter()
        .filter(|token| !token.mark && token.text.chars().any(char::is_alphabetic))
        .map(|token| token.text.as_str())
        .collect();
    if words.len() < 2 {
        return false;
    }
    let foreign = words.iter().filter(|word| FOREIGN.contains(word)).count();
    let known = words.iter().filter(|word| lexicon().begins(word)).count();
    let other_script =
        words.iter().filter(|w| w.chars().any(|c| c.is_alphabetic() && c > '\u{24f}'));
    (foreign > 0 && known * 2 < words.len() + foreign)
        || known * 5 < words.len()
        || other_script.count() * 2 > words.len()
}
