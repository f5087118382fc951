//! A made-up ledger of a day and a half: quiet hours, a flash crowd after a mail, an attack that
//! changes its tactics, procedures with effect and cost, full speed, and a second wave the next
//! morning. Shared by the tests of the three crates that are views over the ledger.
#![allow(dead_code)] // each test uses some of it
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use portcullis_model::{
    ActivityTally, Cost, Effect, Entry, Event, Evidence, EvidenceKind, LatencyMillis,
    PlatformFacts, Posture, ProcedureFacts, ProcedureId, Receipt, SourceCount, Tally, Tier,
    WallTime, WaveFigures,
};

pub const MAIN: &str = "main";
pub const SHOP: &str = "shop";

/// What makes a [`Tally`].
#[derive(Clone, Copy, Default)]
pub struct Load {
    /// Visitors' requests per second, all answered.
    pub people: u64,
    /// Attack requests per second that reach the origin.
    pub through: u64,
    /// Attack requests per second refused by signature.
    pub signature: u64,
    /// Requests per second held back by their source's rate.
    pub rate: u64,
    /// Challenges per second given, and passed.
    pub challenged: u64,
    pub passed: u64,
    /// Requests per second of optional activities that are not served.
    pub shed: u64,
    /// Connections per second dropped with unfinished headers.
    pub slow: u64,
    /// Of a thousand forwarded requests, how many the origin failed.
    pub failed_per_thousand: u64,
    pub p95: u64,
    pub unseen: u64,
}

pub struct Day {
    pub at: u64,
    pub entries: Vec<(u64, Entry)>,
    tallied: BTreeMap<&'static str, u64>,
}

impl Day {
    /// Begins at `at` with `started`.
    pub fn begin(at: &str, rehearsal: bool) -> Self {
        let mut day = Self { at: time(at).millis(), entries: Vec::new(), tallied: BTreeMap::new() };
        day.start(rehearsal);
        day
    }

    pub fn start(&mut self, rehearsal: bool) {
        self.tallied = [(MAIN, self.at), (SHOP, self.at)].into();
        self.tell(Event::Started {
            version: "0.1.0".into(),
            configuration: "5f".repeat(32),
            platforms: platforms(),
            workers: 2,
            rehearsal,
            machine: None,
        });
    }

    pub fn tell(&mut self, event: Event) {
        let leaf = self.entries.len() as u64;
        self.entries.push((leaf, Entry::new(WallTime(self.at), event)));
    }

    /// Lets time pass until `at`, with tallies of `every_ms`.
    pub fn until(&mut self, at: &str, every_ms: u64, load: Load) {
        let end = time(at).millis();
        while self.at < end {
            self.at = (self.at + every_ms).min(end);
            self.tally(MAIN, load);
            if every_ms >= 60_000 {
                self.tally(SHOP, Load { people: 2, p95: 40, ..Load::default() });
            }
        }
    }

    pub fn pass(&mut self, millis: u64) {
        self.at += millis;
    }

    pub fn tally(&mut self, platform: &'static str, load: Load) {
        let from = self.tallied.insert(platform, self.at).unwrap_or(self.at);
        if from < self.at {
            self.tell(Event::Tallied(tally(platform, from, self.at, load)));
        }
    }
}

pub fn time(text: &str) -> WallTime {
    WallTime::parse(text).unwrap()
}

pub fn platforms() -> Vec<PlatformFacts> {
    vec![
        PlatformFacts {
            name: MAIN.into(),
            hosts: vec!["party.example".into(), "www.party.example".into()],
            activities: vec![
                ("donate".into(), Tier::Essential),
                ("search".into(), Tier::Important),
                ("leaflets".into(), Tier::Optional),
                ("everything else".into(), Tier::Important),
            ],
        },
        PlatformFacts {
            name: SHOP.into(),
            hosts: vec!["shop.party.example".into()],
            activities: vec![("everything else".into(), Tier::Important)],
        },
    ]
}

pub fn tally(platform: &str, from: u64, to: u64, load: Load) -> Tally {
    let n = |rate: u64| rate * (to - from) / 1_000;
    let forwarded = n(load.people) + n(load.through);
    let failed = forwarded * load.failed_per_thousand / 1_000;
    let given = n(load.challenged);
    let passed = n(load.passed);
    let latency = (forwarded > 0).then_some(LatencyMillis {
        p50: load.p95 / 3,
        p95: load.p95,
        p99: load.p95 * 2,
    });
    let words = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
        let some = pairs.iter().filter(|(_, n)| *n > 0);
        some.map(|(word, n)| ((*word).to_owned(), *n)).collect()
    };
    let reasons = words(&[
        ("allowed", forwarded),
        ("challenge-issued", given),
        ("challenge-passed", passed),
        ("signature", n(load.signature)),
        ("source-rate", n(load.rate)),
        ("shed", n(load.shed)),
        ("header-timeout", n(load.slow)),
    ]);
    let outcomes = words(&[("served", forwarded - failed), ("origin-timeout", failed)]);
    let offered: u64 = reasons.values().sum();
    let part = |name: &str, of: u64, refused: u64, challenged: u64, baseline_milli: u64| {
        let lost = of * load.failed_per_thousand / 1_000;
        ActivityTally {
            name: name.to_owned(),
            offered: of + refused + challenged,
            forwarded: of,
            served: of - lost,
            challenged,
            refused,
            baseline_milli,
            latency,
        }
    };
    let activities = if platform == MAIN {
        let donate = forwarded / 4;
        let refused = n(load.signature) + n(load.rate);
        let rest = forwarded - donate - forwarded / 4;
        vec![
            part("donate", donate, 0, 0, 3_000),
            part("search", forwarded / 4, refused, 0, 3_000),
            part("leaflets", 0, n(load.shed), 0, 500),
            part("everything else", rest, 0, given + passed, 5_500),
        ]
    } else {
        vec![part("everything else", forwarded, 0, 0, 2_000)]
    };
    let rate = |n: u64| n * 1_000 / (to - from).max(1);
    Tally {
        platform: platform.to_owned(),
        from: WallTime(from),
        to: WallTime(to),
        peak_offered_per_second: rate(offered) * 11 / 10,
        peak_forwarded_per_second: rate(forwarded) * 11 / 10,
        sources: SourceCount::from_count(offered / 20),
        challenges_passed: passed,
        latency,
        origin_busy_ms: forwarded * 12,
        bytes_out: forwarded * 18_000,
        records_lost: load.unseen,
        activities,
        reasons,
        outcomes,
        // People fall silent; a client that sends headers slowly also reads responses slowly.
        cuts: Some(words(&[("idle", n(load.people) / 10), ("slow-read", n(load.slow) / 10)])),
    }
}

pub fn evidence(kind: EvidenceKind, measured: u64, threshold: u64, summary: &str) -> Evidence {
    Evidence { kind, measured, threshold, summary: summary.to_owned() }
}

pub fn procedure(
    id: u32,
    activity: Option<&str>,
    measure: &str,
    summary: &str,
    expires: u64,
) -> ProcedureFacts {
    ProcedureFacts {
        id: ProcedureId(id.try_into().unwrap()),
        platform: MAIN.into(),
        activity: activity.map(str::to_owned),
        measure: measure.to_owned(),
        summary: summary.to_owned(),
        reason: "traffic far over the baseline still presses on the origin".into(),
        expires: WallTime(expires),
        collateral_per_million: (measure == "refuse-signature").then_some(310),
    }
}

fn released(id: u32, stopped: u64, seen: u64, cost: Cost) -> Event {
    Event::ProcedureReleased {
        id: ProcedureId(id.try_into().unwrap()),
        platform: MAIN.into(),
        reason: "the attack is over".into(),
        effect: Effect { stopped, seen },
        cost,
    }
}

fn posture(from: Posture, to: Posture, reason: &str) -> Event {
    Event::PostureChanged { platform: MAIN.into(), from, to, reason: reason.into() }
}

pub const QUIET: Load = Load {
    people: 12,
    through: 0,
    signature: 0,
    rate: 0,
    challenged: 0,
    passed: 0,
    shed: 0,
    slow: 0,
    failed_per_thousand: 0,
    p95: 60,
    unseen: 0,
};

/// The morning, up to the flash crowd's end.
pub fn morning(rehearsal: bool) -> Day {
    let mut day = Day::begin("2026-11-23T08:30:00Z", rehearsal);
    day.until("2026-11-23T09:30:00Z", 60_000, QUIET);
    let crowd = Load { people: 320, p95: 95, ..QUIET };
    day.until("2026-11-23T09:30:02Z", 1_000, crowd);
    day.tell(Event::SurgeBegan {
        platform: MAIN.into(),
        activities: vec!["donate".into(), "everything else".into()],
        per_second: 320,
        baseline_milli: 12_000,
    });
    day.tell(posture(
        Posture::Open,
        Posture::Watchful,
        "traffic is unusual, or an attack is just over",
    ));
    day.until("2026-11-23T09:32:00Z", 1_000, crowd);
    day.tell(Event::SurgeEnded { platform: MAIN.into() });
    day.tell(posture(Posture::Watchful, Posture::Open, "all is as usual"));
    day
}

/// The first wave, up to its end.
pub fn first_wave(day: &mut Day) {
    day.until("2026-11-23T10:02:00Z", 60_000, QUIET);
    // The quiet tally is closed with the first second and a half of the attack in it.
    day.at = time("2026-11-23T10:02:12.750Z").millis();
    day.tally(MAIN, Load { through: 60, failed_per_thousand: 10, p95: 110, ..QUIET });
    day.tell(Event::OriginDegraded {
        platform: MAIN.into(),
        summary: "18 requests wait for a free connection".into(),
    });
    day.tell(Event::AttackBegan {
        wave: 1,
        platform: MAIN.into(),
        activities: vec!["search".into()],
        onset: time("2026-11-23T10:02:11.250Z"),
        evidence: vec![
            evidence(
                EvidenceKind::RepeatedRequests,
                91,
                50,
                "91% of 2,048 requests in 2 s came from visitors who asked for the same path at \
                 least 3 times in those 2 s",
            ),
            evidence(
                EvidenceKind::ExcessivePageRate,
                64,
                40,
                "each visitor sent 64 requests in 2 s on average",
            ),
        ],
        baseline_milli: 12_000,
    });
    let expires = day.at + 600_000;
    day.tell(Event::ProcedureEngaged(procedure(
        1,
        None,
        "tighten-sources",
        "at most 20 requests per second (burst 100) and 32 connections from one source without a \
         token; headers within 3000 ms",
        expires,
    )));
    day.tell(posture(Posture::Open, Posture::Guarded, "an attack is met by narrow procedures"));
    day.until(
        "2026-11-23T10:02:13.750Z",
        1_000,
        Load { through: 900, rate: 3_300, failed_per_thousand: 40, p95: 2_100, ..QUIET },
    );
    day.tell(Event::ProcedureEngaged(procedure(
        2,
        Some("search"),
        "refuse-signature",
        "refuse requests whose path is \u{201c}/search\u{201d}; user agent is \
         \u{201c}python-requests/2.31\u{201d}",
        expires + 1_000,
    )));
    day.until(
        "2026-11-23T10:02:14.750Z",
        1_000,
        Load { signature: 3_900, rate: 300, p95: 110, ..QUIET },
    );
    day.tell(Event::Mitigated { wave: 1, platform: MAIN.into(), after_ms: 3_500 });
    day.tell(Event::OriginRecovered { platform: MAIN.into() });
    day.until(
        "2026-11-23T10:03:00Z",
        1_000,
        Load { signature: 3_900, rate: 300, p95: 90, ..QUIET },
    );
    day.tell(Event::AttackChanged {
        wave: 1,
        platform: MAIN.into(),
        activities: vec!["search".into(), "everything else".into()],
        evidence: vec![
            evidence(
                EvidenceKind::CacheBusting,
                99,
                90,
                "of 1,990 requests with a query in 2 s, 99% had one never seen before",
            ),
            evidence(
                EvidenceKind::RotatingUserAgents,
                88,
                50,
                "88% of requests in 2 s came from sources that changed their user agent",
            ),
        ],
        since_procedure_change_ms: Some(46_250),
    });
    day.tell(Event::MitigationLost { wave: 1, platform: MAIN.into() });
    day.until(
        "2026-11-23T10:03:01Z",
        1_000,
        Load { through: 700, rate: 900, failed_per_thousand: 15, p95: 900, ..QUIET },
    );
    day.tell(Event::ProcedureEngaged(procedure(
        3,
        None,
        "challenge-redirect",
        "visitors without a token are sent once round by a redirect",
        expires + 50_000,
    )));
    day.tell(posture(
        Posture::Guarded,
        Posture::Siege,
        "visitors are challenged or activities shed",
    ));
    day.until(
        "2026-11-23T10:03:04Z",
        1_000,
        Load { challenged: 1_600, passed: 10, rate: 900, p95: 120, ..QUIET },
    );
    day.tell(Event::Mitigated { wave: 1, platform: MAIN.into(), after_ms: 4_000 });
    day.until(
        "2026-11-23T10:06:00Z",
        1_000,
        Load { challenged: 1_600, passed: 4, rate: 900, p95: 85, ..QUIET },
    );
    day.until("2026-11-23T10:06:30Z", 1_000, Load { challenged: 3, passed: 3, ..QUIET });
    day.tell(Event::AttackEnded {
        wave: 1,
        platform: MAIN.into(),
        figures: WaveFigures {
            offered: 654_000,
            forwarded: 5_700,
            stopped: 647_000,
            peak_offered_per_second: 4_633,
            peak_forwarded_per_second: 1_003,
            peak_stalled_headers: 0,
            peak_sources: SourceCount::About(68),
            sources: Some(SourceCount::About(412)),
            evidence_kinds: 4,
            changes: 1,
        },
    });
}

/// The way down after the first wave, full speed, and the telephone call to the NCSC.
pub fn way_down(day: &mut Day) {
    day.until("2026-11-23T10:07:00Z", 1_000, QUIET);
    day.tell(released(
        3,
        293_000,
        301_000,
        Cost { delayed: 812, refused_with_token: 0, collateral_per_million: 0 },
    ));
    day.tell(posture(
        Posture::Siege,
        Posture::Watchful,
        "traffic is unusual, or an attack is just over",
    ));
    day.until("2026-11-23T10:07:30Z", 1_000, QUIET);
    day.tell(released(
        2,
        180_000,
        181_000,
        Cost { delayed: 0, refused_with_token: 0, collateral_per_million: 310 },
    ));
    day.until("2026-11-23T10:08:00Z", 1_000, QUIET);
    day.tell(released(
        1,
        175_000,
        660_000,
        Cost { delayed: 12, refused_with_token: 3, collateral_per_million: 0 },
    ));
    day.until("2026-11-23T10:09:00Z", 1_000, QUIET);
    day.tell(Event::FullSpeed {
        platform: MAIN.into(),
        since: time("2026-11-23T10:08:00Z"),
        duration_ms: 60_000,
    });
    day.tell(posture(Posture::Watchful, Posture::Open, "all is as usual"));
    day.until("2026-11-23T14:05:00Z", 60_000, QUIET);
    day.tell(Event::ReceiptRecorded(Receipt {
        recipient: "NCSC".into(),
        channel: "web form".into(),
        reference: "INC-48213".into(),
        notified_at: time("2026-11-23T13:58:00Z"),
        document: Some("ab".repeat(32)),
    }));
}

/// The second wave the next morning, up to full speed.
pub fn second_wave(day: &mut Day) {
    day.until("2026-11-24T09:40:00Z", 60_000, QUIET);
    day.at = time("2026-11-24T09:40:05Z").millis();
    day.tally(MAIN, Load { slow: 40, ..QUIET });
    day.tell(Event::AttackBegan {
        wave: 2,
        platform: MAIN.into(),
        activities: Vec::new(),
        onset: time("2026-11-24T09:40:02Z"),
        evidence: vec![evidence(
            EvidenceKind::StalledHeaders,
            410,
            20,
            "410 connections had begun a request over a second ago and not finished its headers; \
             usual are 0",
        )],
        baseline_milli: 12_000,
    });
    let expires = day.at + 600_000;
    day.tell(Event::ProcedureEngaged(procedure(
        4,
        None,
        "tighten-sources",
        "at most 20 requests per second (burst 100) and 32 connections from one source without a \
         token; headers within 3000 ms",
        expires,
    )));
    day.tell(posture(Posture::Open, Posture::Guarded, "an attack is met by narrow procedures"));
    day.until("2026-11-24T09:40:08Z", 1_000, Load { slow: 140, ..QUIET });
    day.tell(Event::Mitigated { wave: 2, platform: MAIN.into(), after_ms: 6_000 });
    day.until("2026-11-24T09:41:30Z", 1_000, Load { slow: 30, ..QUIET });
    day.until("2026-11-24T09:42:00Z", 1_000, QUIET);
    day.tell(Event::AttackEnded {
        wave: 2,
        platform: MAIN.into(),
        figures: WaveFigures {
            offered: 4_500,
            forwarded: 1_416,
            stopped: 3_084,
            peak_offered_per_second: 160,
            peak_forwarded_per_second: 13,
            peak_stalled_headers: 410,
            peak_sources: SourceCount::About(24),
            sources: None,
            evidence_kinds: 1,
            changes: 0,
        },
    });
    day.until("2026-11-24T09:42:30Z", 1_000, QUIET);
    day.tell(released(4, 3_084, 4_860, Cost::default()));
    day.until("2026-11-24T09:43:30Z", 1_000, QUIET);
    day.tell(Event::FullSpeed {
        platform: MAIN.into(),
        since: time("2026-11-24T09:42:30Z"),
        duration_ms: 60_000,
    });
    day.tell(posture(Posture::Watchful, Posture::Open, "all is as usual"));
    day.until("2026-11-24T11:00:00Z", 60_000, QUIET);
    day.tell(Event::Stopped);
}

/// The whole.
pub fn whole(rehearsal: bool) -> Vec<(u64, Entry)> {
    let mut day = morning(rehearsal);
    first_wave(&mut day);
    way_down(&mut day);
    second_wave(&mut day);
    day.entries
}

/// The whole without the events that `unwanted` names, numbered as a ledger would.
pub fn without(rehearsal: bool, unwanted: impl Fn(&Event) -> bool) -> Vec<(u64, Entry)> {
    let wanted = whole(rehearsal).into_iter().filter(|(_, entry)| !unwanted(&entry.event));
    wanted.zip(0..).map(|((_, entry), leaf)| (leaf, entry)).collect()
}
