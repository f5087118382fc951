//! How claims are recognised in what people write.

use crate::ClaimKind;

/// What a phrase states about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polarity {
    /// It makes the claim.
    Positive,
    /// It states the opposite.
    Negative,
}

/// Phrases that state one claim.
pub(super) struct Rule {
    pub(super) kind: ClaimKind,
    pub(super) polarity: Polarity,
    pub(super) patterns: &'static [&'static str],
    /// Only in a sentence where one of these is recognised too (any, if empty).
    pub(super) requires: &'static [ClaimKind],
}

const fn rule(kind: ClaimKind, polarity: Polarity, patterns: &'static [&'static str]) -> Rule {
    Rule { kind, polarity, patterns, requires: &[] }
}

use ClaimKind as K;
use Polarity::{Negative, Positive};

/// The rules. Of several matches for one claim, the longest counts.
pub(super) const RULES: &[Rule] = &[
    rule(
        K::Attack,
        Positive,
        &[
            "attack*",
            "cyber attack*|assault*",
            "cyberattack*",
            "cyber incident*",
            "ddos*",
            "denial of service",
            "malicious|fake|bogus ..2 traffic|activity|request*|visit*",
        ],
    ),
    rule(
        K::Attack,
        Negative,
        &[
            "technical ..1 fault|issue*|problem*|glitch*|difficult*",
            "flash crowd",
            "surge ..2 visitors|supporters|people|interest",
        ],
    ),
    rule(
        K::Waves,
        Positive,
        &[
            "second|third|another|further|renewed|fresh|repeated|multiple|several ..2 attack*|wave*|attempt*|ddos*",
            "two|three|four|five|many|number|series ..3 attack*|waves|attempts",
            "attack*|attacked|targeted ..2 again|twice",
            "wave* of ..2 attack*",
        ],
    ),
    rule(K::Waves, Negative, &["single|one|isolated|only ..1 attack|wave|incident"]),
    rule(
        K::Sophisticated,
        Positive,
        &[
            "sophisticat*",
            "advanced|complex|elaborate|ingenious ..2 attack*|cyber*|operation|campaign",
            "advanced persistent",
        ],
    ),
    rule(
        K::Sophisticated,
        Negative,
        &[
            "unsophisticated",
            "simple|basic|crude|everyday|routine|primitive|amateur* ..2 attack*|ddos*|attempt*",
        ],
    ),
    rule(
        K::LargeScale,
        Positive,
        &[
            "large scale",
            "largescale",
            "massive*",
            "huge*",
            "enormous*",
            "colossal",
            "gigantic",
            "unprecedented",
            "biggest|largest|heaviest ..3 attack*|ever|incident*|ddos*",
            "record breaking",
            "major|serious|severe|significant|vast|sustained ..2 attack*|cyber*|ddos*|incident*",
            "on ..2 scale",
        ],
    ),
    rule(
        K::LargeScale,
        Negative,
        &["small scale", "minor|small|limited|modest|tiny ..2 attack*|ddos*|incident*|attempt*"],
    ),
    rule(
        K::Platforms,
        Positive,
        &[
            "attack* ..3 on|against|upon|at ..6 platform*|site*|website*|system*|server*|network*|infrastructure|service*",
            "attack*|ddos* ..3 target*|hit|struck ..6 platform*|site*|website*|system*|server*|network*|infrastructure|service*",
            "platform*|site*|website*|system*|server*|network* ..4 attacked|targeted|hit",
            "platform*|site*|website*|system*|server*|network* ..3 under attack",
        ],
    ),
    rule(
        K::Detected,
        Positive,
        &[
            "systems|team|software|gate|monitoring|security ..3 identified|detected|discovered|spotted|noticed|flagged|recognised",
            "identified|detected|discovered|spotted|noticed ..6 attack*|attempt*|ddos*",
            "attack*|attempt*|ddos* ..4 identified|detected|discovered|spotted",
        ],
    ),
    rule(
        K::SwiftAction,
        Positive,
        &[
            "swift*",
            "quick*|rapid*|immediate*|prompt*|fast|instant* ..2 action|respon*|react*|act|acted|mitigat*|stopped|blocked",
            "action|respon*|react*|act|acted|mitigat*|stopped|blocked ..2 quickly|rapidly|immediately|promptly|fast|instantly|straight",
        ],
    ),
    Rule {
        kind: K::SwiftAction,
        polarity: Positive,
        patterns: &["within ..2 minutes|seconds|moments", "in ..2 minutes|seconds|moments"],
        requires: &[K::Detected, K::AttemptsFailed],
    },
    rule(K::SwiftAction, Negative, &["slow* ..2 to respond|react|act", "too late|slow|slowly"]),
    rule(
        K::AttemptsFailed,
        Positive,
        &[
            "attempt*|attack*|they|one ..6 failed|fail|unsuccessful|thwarted|repelled|repulsed|blocked|foiled|defeated|mitigated|stopped|prevented|averted|rebuffed",
            "attempt*|attack* ..3 not ..1 successful|succeed",
            "not successful",
            "failed|unsuccessful|thwarted ..2 attempt*|attack*",
            "successfully ..3 defended|repelled|blocked|mitigated|fended|thwarted|stopped|dealt|handled",
            "fended|fought|warded|beat|beaten ..3 off|back",
            "repelled|thwarted|foiled|defeated|blocked|stopped|mitigated|prevented ..5 attack*|attempt*|ddos*",
        ],
    ),
    rule(
        K::AttemptsFailed,
        Negative,
        &[
            "attempt*|attack* ..3 succeeded|successful|worked",
            "attack* is|are ..1 ongoing|continuing",
            "attack* ..1 continue|continues",
        ],
    ),
    Rule {
        kind: K::BecauseOfDefences,
        polarity: Positive,
        patterns: &[
            "due|thanks|owing|attributable to ..5 security|defen*|system*|protection*|team*|measure*|procedure*|firewall*|provider*",
            "because|result of ..5 security|defen*|system*|protection*|team*|measure*|procedure*|firewall*|provider*",
            "by ..4 security|defence*|defense*|protection* ..1 system*|measure*|procedure*|team*",
        ],
        requires: &[K::AttemptsFailed, K::StayedUp],
    },
    rule(
        K::BecauseOfDefences,
        Positive,
        &[
            "security|defen*|system*|protection* ..2 prevented|stopped|blocked|repelled|thwarted|defended|worked|held|withstood",
            "robust|strong|effective|excellent|resilient ..2 security|defen*|system*|protection*",
        ],
    ),
    rule(
        K::StayedUp,
        Positive,
        &[
            "remain*|stay*|stayed|kept|continue* ..4 online|available|accessible|operational|running|open|functional",
            "stayed|remained|kept up",
            "keep|keeping|kept ..3 site|website|platform*|service*|system* ..2 running|online|up|open",
            "never ..3 offline|down|unavailable",
            "uninterrupted",
            "people|supporters|visitors|users ..3 served|able",
        ],
    ),
    rule(
        K::StayedUp,
        Negative,
        &[
            "went|go|gone|taken|took|knocked|forced|brought|pulled|were|was ..3 offline|down",
            "outage*",
            "downtime",
            "unavailable",
            "inaccessible",
            "crashed",
            "interruption*",
        ],
    ),
    rule(
        K::Integrity,
        Positive,
        &[
            "integrity",
            "integrity ..8 maintained|preserved|intact|protected|assured",
            "platform*|site*|website*|system*|server*|page* ..3 secure|safe|intact|untouched",
            "nothing ..4 altered|changed|modified|tampered|defaced",
        ],
    ),
    rule(
        K::Integrity,
        Negative,
        &[
            "integrity ..4 compromised|lost|damaged|undermined|affected",
            "tamper*",
            "deface*",
            "platform*|site*|website*|system*|server*|page*|content ..4 altered|changed|modified|compromised",
        ],
    ),
    rule(
        K::NoBreach,
        Positive,
        &[
            "data|details|information|records ..3 safe|secure|intact|maintained|protected|untouched",
            "not ..2 hacked|breached",
            "nothing ..5 stolen|lost|leaked|accessed|exposed|taken|compromised|exfiltrated|copied|breached",
        ],
    ),
    rule(
        K::NoBreach,
        Negative,
        &[
            "breach*",
            "data breach*",
            "breach* of ..2 data|security|privacy",
            "data|details|information|records ..5 stolen|lost|leaked|accessed|exposed|taken|compromised|exfiltrated|copied|breached",
            "leak*|theft|loss|exposure ..3 data|details|information|records",
            "hack*",
            "intrusion*|intruder*",
            "unauthorised|unauthorized access",
            "gained|got|gain access",
        ],
    ),
    rule(
        K::SlowedDown,
        Positive,
        &[
            "slow* ..3 down",
            "slowed|slower|slowdown|slowness|sluggish",
            "disrupt* ..4 activit*|campaign*|service*|work|platform*|site*|website*|system*",
            "disruption*",
            "delay*",
            "degrad*",
            "impact|impacted|affected|affect ..4 activit*|campaign*|service*|work|users|visitors|supporters",
            "impact|effect on ..4 activit*|campaign*|service*|work|users|visitors|supporters",
            "procedure*|measure* ..3 slowed|cost|affected|delayed",
            "activit*|campaign*|service*|platform*|site*|website*|system*|operation* ..3 affected|impacted|disrupted",
        ],
    ),
    rule(K::SlowedDown, Negative, &["unaffected", "business as usual", "no ..1 impact|effect"]),
    rule(
        K::Restored,
        Positive,
        &[
            "restor*",
            "back online",
            "resum*",
            "recovered",
            "reinstated",
            "back in operation|action|service",
            "lifted ..4 measure*|procedure*|restriction*",
        ],
    ),
    rule(
        K::FullSpeed,
        Positive,
        &[
            "full speed",
            "back ..3 full speed",
            "back ..2 to normal",
            "back up ..1 running",
            "normal service|operation*",
            "fully operational",
            "running|working ..1 normally",
        ],
    ),
    rule(
        K::Reported,
        Positive,
        &[
            "report* ..8 ncsc|gchq",
            "report* ..8 national cyber security",
            "informed|notified|told|alerted|contacted|inform|notify|contact|referred ..6 ncsc|gchq",
            "informed|notified|told|alerted|contacted|inform|notify|contact|referred ..6 national cyber security",
            "ncsc|gchq ..4 informed|notified|told|alerted|contacted|aware",
            "national cyber security centre|center ..4 informed|notified|told|alerted|contacted|aware",
            "working|liaising|touch with ..3 ncsc|national",
        ],
    ),
];

/// What no gate can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfScope {
    /// An intention.
    Intention,
    /// Who it was.
    Actor,
    /// The NCSC's category.
    Category,
}

/// Phrases about what cannot be measured.
pub(super) const OUT_OF_SCOPE: &[(OutOfScope, &[&str])] = &[
    (
        OutOfScope::Intention,
        &[
            "intention* ..1 of|to ..6 offline|down",
            "intention*",
            "intent|intended|intending",
            "aim|aimed|aiming at|to|of",
            "designed|meant|trying|seeking|sought|wanted|calculated to",
            "deliberate*",
            "motivat*",
            "motive*",
            "attempt* to ..3 influence|undermine|disrupt|silence|take|bring|interfere|stop|damage|sabotage",
            "order to ..3 influence|undermine|disrupt|silence|take|bring|interfere|damage|sabotage",
            "interfer*",
            "meddl*",
            "sabotage*",
            "targeted because",
        ],
    ),
    (
        OutOfScope::Actor,
        &[
            "russia*",
            "kremlin",
            "moscow",
            "putin*",
            "china",
            "chinese",
            "beijing",
            "iran*",
            "tehran",
            "north korea*",
            "dprk",
            "brazil*",
            "belarus*",
            "ukrain*",
            "israel*",
            "american*",
            "gru|fsb|svr",
            "fancy|cozy bear",
            "apt28|apt29|apt31|sandworm|lazarus",
            "killnet",
            "noname*",
            "lizard squad",
            "state sponsored|backed|sponsor*|actor*",
            "nation state*",
            "foreign ..2 power*|state*|government*|actor*|adversar*|agent*|interference",
            "hostile ..1 state*|actor*|power*|government*|nation*",
            "hacktivist*",
            "cyber ..1 criminal*|gang*",
            "cybercriminal*",
            "criminals",
            "hackers",
            "opponents|rivals|enemies",
            "botnet* ..2 in|from",
        ],
    ),
    (OutOfScope::Category, &["category ..1 1|2|3|4|5|6|one|two|three|four|five|six"]),
];

/// Phrases that a recipient other than the NCSC was notified, with the place of the recipient.
pub(super) const NOTIFICATIONS: &[&str] = &[
    "report*|inform|informed|notify|notified|told|contact|contacted|alert|alerted|referred ..8 police|ico|commissioner|regulator|authorities|fraud",
    "police|ico|commissioner|regulator|authorities|fraud ..6 informed|notified|told|contacted|alerted",
];

/// Recipients in [`NOTIFICATIONS`]: the word, the name, and what a receipt calls them (one is enough).
pub(super) const RECIPIENTS: &[(&str, &str, &[&str])] = &[
    ("police", "the police", &["police", "fraud"]),
    ("fraud", "the police", &["police", "fraud"]),
    ("ico", "the ICO", &["ico", "information commissioner"]),
    ("commissioner", "the ICO", &["ico", "information commissioner"]),
    ("regulator", "the regulator", &["ico", "commission", "regulator"]),
    ("authorities", "the authorities", &[""]),
];

/// Words that no figure carries, with the reason.
pub(super) const ABSOLUTES: &[(&str, &str)] = &[
    (
        "every single",
        "attempts are not counted one by one: attack requests that looked ordinary were forwarded",
    ),
    (
        "all|each of ..2 attempt*|attack*",
        "attempts are not counted one by one: attack requests that looked ordinary were forwarded",
    ),
    ("100 per|percent", "nothing that is sampled or counted at a gate is known to the last case"),
    (
        "completely|totally|entirely|fully|perfectly|absolutely secure|safe|protected|unaffected|successful",
        "no measurement shows a whole without exception",
    ),
    (
        "impenetrable|unhackable|bulletproof|unbreakable|invulnerable|watertight",
        "nothing is, and nothing that was measured says so",
    ),
    ("guarantee*", "the future is not on record"),
];

/// Words that turn a phrase into its opposite.
pub(super) fn negates(word: &str) -> bool {
    matches!(
        word,
        "no" | "not"
            | "never"
            | "none"
            | "without"
            | "neither"
            | "nor"
            | "cannot"
            | "nothing"
            | "nobody"
            | "hardly"
            | "deny"
            | "denied"
            | "denies"
    ) || word.ends_with("n't")
}

/// Words that leave open what follows them.
pub(super) fn leaves_open(kind: ClaimKind, word: &str) -> bool {
    let open = matches!(
        word,
        "whether"
            | "if"
            | "may"
            | "might"
            | "could"
            | "possible"
            | "possibly"
            | "potential"
            | "potentially"
            | "alleged"
            | "allegedly"
            | "suspected"
            | "unclear"
            | "unknown"
            | "will"
            | "would"
            | "shall"
            | "should"
            | "expect"
            | "undetermined"
    );
    let looking = word.starts_with("investigat")
        || word.starts_with("examin")
        || matches!(word, "checking" | "assessing" | "reviewing" | "looking");
    let doing = matches!(word, "reporting" | "informing" | "notifying" | "contacting");
    open || (looking && matches!(kind, ClaimKind::NoBreach | ClaimKind::Integrity))
        || (doing && kind == ClaimKind::Reported)
}
