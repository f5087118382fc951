//! The families of campaigns.

use serde::Serialize;

macro_rules! families {
    ($($name:ident => $word:literal, $rule:ident;)+) => {
        /// A family of campaigns.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum CampaignFamily {
            $(#[doc = $word] $name,)+
        }

        impl CampaignFamily {
            /// Every family, in the order of the tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What is demanded of it.
            pub const fn rule(self) -> Demand {
                match self { $(Self::$name => Demand::$rule,)+ }
            }
        }
    };
}

/// What is demanded of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Found within five seconds or a hundred requests, the later, from three times the site's load.
    Flood,
    /// Found within five minutes or a hundred requests, the later, from twice the activity's load.
    Slow,
    /// Found before the site's load is four times the usual.
    Ramp,
    /// Measured only.
    None,
    /// Never called an attack.
    Innocent,
}

families! {
    PlainFlood => "plain-flood", Flood;
    ManyPages => "many-pages", Flood;
    BrowserHeaders => "browser-headers", Flood;
    BrowserAssets => "browser-assets", Flood;
    ForgedAgents => "forged-agents", Flood;
    UnknownAgent => "unknown-agent", Flood;
    OneSource => "one-source", Flood;
    AssetFlood => "asset-flood", Flood;
    Pulses => "pulses", Flood;
    Adaptive => "adaptive", Flood;
    WithCrowd => "with-crowd", Flood;
    Probing => "probing", Flood;
    CacheBusting => "cache-busting", Slow;
    Stuffing => "stuffing", Slow;
    SlowSearch => "slow-search", Slow;
    LowAndSlow => "low-and-slow", Slow;
    Ramping => "ramp", Ramp;
    ColdStart => "cold-start", None;
    Calm => "calm", Innocent;
    Launch => "launch", Innocent;
    Mailing => "mailing", Innocent;
    Debate => "debate", Innocent;
    ElectionNight => "election-night", Innocent;
    SchoolClass => "school-class", Innocent;
    Silence => "silence", Innocent;
    OriginErrors => "origin-errors", Innocent;
    Deployment => "deployment", Innocent;
    Crawling => "crawler", Innocent;
    OwnJob => "own-job", Innocent;
    LinkScanning => "link-scanners", Innocent;
    Documents => "documents", Innocent;
    Revalidating => "revalidation", Innocent;
    Typing => "typeahead", Innocent;
    PollingPages => "polling", Innocent;
    MapTiles => "map-tiles", Innocent;
    Episodes => "podcast", Innocent;
    Subscriptions => "calendars", Innocent;
    AppUpdate => "app-update", Innocent;
}

impl CampaignFamily {
    /// The family with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|family| family.as_str() == name)
    }

    /// The family of a seed: each comes in turn, for even seeds and for odd ones.
    pub fn of(seed: u64) -> Self {
        Self::ALL[(seed / 2 % Self::ALL.len() as u64) as usize]
    }

    /// Whether it has an attack in it.
    pub fn is_attack(self) -> bool {
        self.rule() != Demand::Innocent
    }
}
