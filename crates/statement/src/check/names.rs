//! Names from the ledger and the configuration that a text may use.

use portcullis_incident::Incident;

use super::content::Content;
use super::lexicon::{WordKind, lexicon};
use super::tokens::{SentenceToken, tokens};

/// A part of the site that the ledger names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SiteName {
    pub(super) platform: String,
    /// The activity, or the whole platform.
    pub(super) activity: Option<String>,
    words: Vec<String>,
}

/// A recipient that can be notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecipientName {
    /// How a text calls it.
    pub(super) name: &'static str,
    /// What a receipt calls it: one is enough.
    pub(super) on_receipts: &'static [&'static str],
}

const RECIPIENTS: &[(&str, RecipientName)] = &[
    ("national cyber security centre", NCSC),
    ("national cyber security center", NCSC),
    ("national cybersecurity centre", NCSC),
    ("national centre for cyber security", NCSC),
    ("cyber security centre", NCSC),
    ("ncsc", NCSC),
    ("gchq", OTHER_AUTHORITY),
    ("metropolitan police", POLICE),
    ("police service", POLICE),
    ("local police", POLICE),
    ("the met", POLICE),
    ("action fraud", POLICE),
    ("report fraud", POLICE),
    ("police", POLICE),
    ("information commissioner office", ICO),
    ("information commissioner", ICO),
    ("data protection authority", ICO),
    ("data protection regulator", ICO),
    ("data regulator", ICO),
    ("ico", ICO),
    ("electoral commission", COMMISSION),
    ("charity commission", CHARITY),
    ("national crime agency", OTHER_AUTHORITY),
    ("law enforcement", POLICE),
    ("fbi", OTHER_AUTHORITY),
    ("mi5", OTHER_AUTHORITY),
    ("cisa", OTHER_AUTHORITY),
    ("europol", OTHER_AUTHORITY),
    ("relevant authorities", AUTHORITIES),
    ("authorities", AUTHORITIES),
    ("relevant authority", AUTHORITIES),
    ("proper authorities", AUTHORITIES),
    ("regulator", REGULATOR),
    ("regulators", REGULATOR),
    ("ofcom", OTHER_AUTHORITY),
    ("security services", OTHER_AUTHORITY),
    ("intelligence services", OTHER_AUTHORITY),
    ("home office", OTHER_AUTHORITY),
    ("government", OTHER_AUTHORITY),
    ("parliament", OTHER_AUTHORITY),
];
const NCSC: RecipientName =
    RecipientName { name: "the NCSC", on_receipts: &["ncsc", "national cyber security"] };
const POLICE: RecipientName =
    RecipientName { name: "the police", on_receipts: &["police", "fraud"] };
const ICO: RecipientName =
    RecipientName { name: "the ICO", on_receipts: &["ico", "information commissioner"] };
const COMMISSION: RecipientName =
    RecipientName { name: "the Electoral Commission", on_receipts: &["electoral commission"] };
const CHARITY: RecipientName =
    RecipientName { name: "the Charity Commission", on_receipts: &["charity commission"] };
const REGULATOR: RecipientName = RecipientName {
    name: "the regulator",
    on_receipts: &["ico", "information commissioner", "commission", "regulator"],
};
const AUTHORITIES: RecipientName = RecipientName { name: "the authorities", on_receipts: &[""] };
const OTHER_AUTHORITY: RecipientName =
    RecipientName { name: "this authority", on_receipts: &["\u{0}"] };

/// The names.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownNames {
    pub(super) sites: Vec<SiteName>,
    pub(super) recipients: Vec<RecipientName>,
    own: Vec<Vec<String>>,
    references: Vec<Vec<String>>,
    /// Channels of receipts: "by web form".
    channels: Vec<Vec<String>>,
}

fn words(text: &str) -> Vec<String> {
    tokens(text, 0).into_iter().map(|token| token.text).collect()
}

impl KnownNames {
    pub(super) fn new(incident: Option<&Incident>, own: &[String]) -> Self {
        let mut names = Self {
            recipients: RECIPIENTS.iter().map(|(_, name)| name.clone()).collect(),
            own: own.iter().map(|name| words(name)).collect(),
            ..Self::default()
        };
        let Some(incident) = incident else { return names };
        for facts in &incident.protected {
            let mut add = |text: &str, activity: Option<&str>| {
                names.sites.push(SiteName {
                    platform: facts.name.clone(),
                    activity: activity.map(str::to_owned),
                    words: words(text),
                });
            };
            add(&facts.name, None);
            for host in &facts.hosts {
                add(host, None);
            }
            for (activity, _) in &facts.activities {
                if activity != "everything else" {
                    add(activity, Some(activity));
                }
            }
        }
        for notification in &incident.notifications {
            names.references.push(words(&notification.receipt.reference));
            names.channels.push(words(&format!("by {}", notification.receipt.channel)));
        }
        names
    }

    /// The name that begins at `at`. Activities are also known by other forms of their word:
    /// "donation" and "donating" are `donate`.
    pub(super) fn at(&self, tokens: &[SentenceToken], at: usize) -> Option<(Content, usize)> {
        let same = |words: &[String], related: bool| {
            let rest = tokens.get(at..at + words.len())?;
            let fits = rest
                .iter()
                .zip(words)
                .all(|(token, word)| token.is(word) || (related && is_related(&token.text, word)));
            (fits && !words.is_empty()).then_some(words.len())
        };
        // "our members" are people, and "the members' area" may be a platform.
        let next_is_site = |length: usize| {
            let mut next = lexicon().at(tokens, at + length);
            next.any(|(entry, _)| entry.class == "Site")
        };
        let is_other_noun = |length: usize| {
            let mut here = lexicon().at(tokens, at).filter(|(_, n)| *n >= length);
            here.any(|(entry, _)| {
                entry.kind == WordKind::Noun && !matches!(entry.class, "Site" | "OtherSite")
            })
        };
        let sites = self.sites.iter().enumerate().filter_map(|(i, site)| {
            let length = same(&site.words, true)?;
            if is_other_noun(length) && !next_is_site(length) {
                return None;
            }
            let exact = same(&site.words, false).is_some();
            Some((Content::Site(i), length, exact))
        });
        let best = sites.max_by_key(|(_, length, exact)| (*length, *exact));
        if let Some((content, length, _)) = best {
            return Some((content, length));
        }
        for (i, (phrase, _)) in RECIPIENTS.iter().enumerate() {
            if let Some(length) = same(&words(phrase), false) {
                return Some((Content::Recipient(i), length));
            }
        }
        for (i, reference) in self.references.iter().enumerate() {
            if let Some(length) = same(reference, false) {
                return Some((Content::Reference(i), length));
            }
        }
        for (i, channel) in self.channels.iter().enumerate() {
            if let Some(length) = same(channel, false) {
                return Some((Content::Reference(i), length));
            }
        }
        let own = self.own.iter().filter_map(|name| same(name, false)).max();
        own.map(|length| (Content::OwnName, length))
    }
}

/// Whether two words have the same stem: all but the last two letters of the shorter one, and at
/// least four.
fn is_related(word: &str, name: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "", "s", "e", "es", "ed", "ing", "er", "ers", "ion", "ions", "ation", "ations", "ment",
        "ership", "y", "ication", "ications", "ying", "ied", "ies",
    ];
    if word.len() < 4 || name.len() < 4 || !word.is_ascii() || !name.is_ascii() {
        return false;
    }
    let common = word.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str| ENDINGS.contains(&text.get(common..).unwrap_or("?"));
    common >= 4 && rest(word) && rest(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_are_known_by_related_words() {
        assert!(is_related("donations", "donate"));
        assert!(is_related("donating", "donate"));
        assert!(is_related("leaflet", "leaflets"));
        assert!(!is_related("shopkeeper", "shop"));
        assert!(!is_related("research", "search"));
        assert!(!is_related("mainly", "main"));
    }
}
