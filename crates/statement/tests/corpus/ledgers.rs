//! The four ledgers of the corpus: an attack in two waves, a small attack, a crowd and an outage.
#![allow(clippy::unwrap_used, clippy::many_single_char_names)]

use std::collections::BTreeMap;

use portcullis_model::{
    ActivityTally, Cost, Effect, Entry, Event, Evidence, EvidenceKind, LatencyMillis,
    PlatformFacts, Posture, ProcedureFacts, ProcedureId, Receipt, SourceCount, Tally, Tier,
    WallTime, WaveFigures,
};

#[derive(Clone, Copy, Default)]
struct Load {
    people: u64,
    through: u64,
    signature: u64,
    rate: u64,
    challenged: u64,
    passed: u64,
    slow: u64,
    failed: u64,
    p95: u64,
}
type P = (&'static str, &'static [&'static str], &'static [(&'static str, Tier)], u64);
struct Day {
    at: u64,
    entries: Vec<(u64, Entry)>,
    tallied: BTreeMap<&'static str, u64>,
    platforms: Vec<P>,
    target: &'static str,
}
fn time(t: &str) -> WallTime {
    WallTime::parse(t).unwrap()
}
impl Day {
    fn begin(at: &str, platforms: Vec<P>) -> Self {
        let at = time(at).millis();
        let mut d = Day {
            at,
            entries: vec![],
            tallied: platforms.iter().map(|p| (p.0, at)).collect(),
            target: platforms[0].0,
            platforms,
        };
        let platforms = d
            .platforms
            .iter()
            .map(|p| PlatformFacts {
                name: p.0.into(),
                hosts: p.1.iter().map(|h| (*h).into()).collect(),
                activities: p.2.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect(),
            })
            .collect();
        d.tell(Event::Started {
            version: "0.1.0".into(),
            configuration: "5f".repeat(32),
            platforms,
            workers: 2,
            rehearsal: false,
            machine: None,
        });
        d
    }
    fn tell(&mut self, e: Event) {
        let n = self.entries.len() as u64;
        self.entries.push((n, Entry::new(WallTime(self.at), e)));
    }
    fn set(&mut self, at: &str) {
        self.at = time(at).millis();
    }
    fn until(&mut self, at: &str, every: u64, load: Load, on: &str) {
        let end = time(at).millis();
        while self.at < end {
            self.at = (self.at + every).min(end);
            let t = self.target;
            self.tally(t, load, on);
            if every >= 60_000 {
                let rest: Vec<_> = self.platforms.iter().skip(1).map(|p| (p.0, p.3)).collect();
                for (p, base) in rest {
                    self.tally(p, Load { people: base, p95: 40, ..Load::default() }, "");
                }
            }
        }
    }
    fn tally(&mut self, platform: &'static str, l: Load, on: &str) {
        let from = self.tallied.insert(platform, self.at).unwrap();
        let to = self.at;
        if from >= to {
            return;
        }
        let n = |r: u64| r * (to - from) / 1000;
        let (_, _, acts, base) = *self.platforms.iter().find(|p| p.0 == platform).unwrap();
        let forwarded = n(l.people) + n(l.through);
        let failed = forwarded * l.failed / 1000;
        let words = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
            pairs.iter().filter(|p| p.1 > 0).map(|p| (p.0.to_owned(), p.1)).collect()
        };
        let reasons = words(&[
            ("allowed", forwarded),
            ("challenge-issued", n(l.challenged)),
            ("challenge-passed", n(l.passed)),
            ("signature", n(l.signature)),
            ("source-rate", n(l.rate)),
            ("header-timeout", n(l.slow)),
        ]);
        let outcomes = words(&[("served", forwarded - failed), ("origin-timeout", failed)]);
        let latency =
            (forwarded > 0).then_some(LatencyMillis { p50: l.p95 / 3, p95: l.p95, p99: l.p95 * 2 });
        let offered: u64 = reasons.values().sum();
        let target = if on.is_empty() { acts[acts.len() - 1].0 } else { on };
        let k = acts.len() as u64;
        let mut list = vec![];
        let mut left = failed;
        for (i, (name, _)) in acts.iter().enumerate() {
            let mut fw = n(l.people) / k + if i == 0 { n(l.people) % k } else { 0 };
            let (mut refused, mut ch) = (0, 0);
            let mut lost = 0;
            if *name == target {
                fw += n(l.through);
                refused = n(l.signature) + n(l.rate);
                ch = n(l.challenged) + n(l.passed);
                lost = left.min(fw);
                left -= lost;
            }
            list.push(ActivityTally {
                name: (*name).into(),
                offered: fw + refused + ch,
                forwarded: fw,
                served: fw - lost,
                challenged: ch,
                refused,
                baseline_milli: base * 1000 / k,
                latency,
            });
        }
        let rate = |v: u64| v * 1000 / (to - from).max(1);
        self.tell(Event::Tallied(Tally {
            platform: platform.into(),
            from: WallTime(from),
            to: WallTime(to),
            peak_offered_per_second: rate(offered),
            peak_forwarded_per_second: rate(forwarded),
            sources: SourceCount::from_count(offered / 20),
            challenges_passed: n(l.passed),
            latency,
            origin_busy_ms: forwarded * 12,
            bytes_out: forwarded * 18000,
            records_lost: 0,
            activities: list,
            reasons,
            outcomes,
            cuts: Some(words(&[("idle", n(l.people) / 10), ("slow-read", n(l.slow) / 10)])),
        }));
    }
    fn sum(&self, from: &str, to: &str, of: impl Fn(&Tally) -> u64) -> u64 {
        let (a, b) = (time(from), time(to));
        self.entries
            .iter()
            .filter_map(|(_, e)| match &e.event {
                Event::Tallied(t) if t.platform == self.target && t.from >= a && t.to <= b => {
                    Some(of(t))
                }
                _ => None,
            })
            .sum()
    }
    fn fails(&self, a: &str, b: &str, k: &str) -> u64 {
        self.sum(a, b, |t| t.outcomes.get(k).copied().unwrap_or(0))
    }
    fn posture(&mut self, from: Posture, to: Posture, r: &str) {
        let platform = self.target.into();
        self.tell(Event::PostureChanged { platform, from, to, reason: r.into() });
    }
    fn engage(&mut self, id: u32, activity: Option<&str>, measure: &str, summary: &str) {
        let expires = WallTime(self.at + 600_000);
        let platform = self.target.to_owned();
        self.tell(Event::ProcedureEngaged(ProcedureFacts {
            id: ProcedureId(id.try_into().unwrap()),
            platform,
            activity: activity.map(str::to_owned),
            measure: measure.into(),
            summary: summary.into(),
            reason: "traffic far over the baseline still presses on the origin".into(),
            expires,
            collateral_per_million: (measure == "refuse-signature").then_some(290),
        }));
    }
    fn release(&mut self, id: u32, stopped: u64, seen: u64, cost: Cost) {
        let platform = self.target.into();
        self.tell(Event::ProcedureReleased {
            id: ProcedureId(id.try_into().unwrap()),
            platform,
            reason: "the attack is over".into(),
            effect: Effect { stopped, seen },
            cost,
        });
    }
    fn full(&mut self, since: &str) {
        let s = time(since);
        let platform = self.target.into();
        let d = self.at - s.millis();
        self.tell(Event::FullSpeed { platform, since: s, duration_ms: d });
    }
    fn receipt(&mut self, to: &str, ch: &str, rf: &str, at: &str, doc: bool) {
        self.tell(Event::ReceiptRecorded(Receipt {
            recipient: to.into(),
            channel: ch.into(),
            reference: rf.into(),
            notified_at: time(at),
            document: doc.then(|| "ab".repeat(32)),
        }));
    }
}
fn ev(kind: EvidenceKind, measured: u64, threshold: u64, s: &str) -> Evidence {
    Evidence { kind, measured, threshold, summary: s.into() }
}
const TIGHT: &str = "at most 20 requests per second (burst 100) and 32 connections from one source without a token; headers within 3000 ms";

fn two_waves() -> Day {
    use Tier::*;
    let mut d = Day::begin(
        "2026-11-17T11:30:00Z",
        vec![
            (
                "website",
                &["harbour.example", "www.harbour.example"],
                &[
                    ("donate", Essential),
                    ("join", Important),
                    ("search", Important),
                    ("news", Optional),
                    ("everything else", Important),
                ],
                12,
            ),
            ("shop", &["shop.harbour.example"], &[("everything else", Important)], 2),
            ("members", &["members.harbour.example"], &[("everything else", Important)], 3),
        ],
    );
    let q = Load { people: 12, p95: 60, ..Load::default() };
    let m = 60_000;
    let s = 1000;
    d.until("2026-11-17T12:00:00Z", m, q, "");
    let crowd = Load { people: 300, p95: 95, ..q };
    d.until("2026-11-17T12:00:02Z", s, crowd, "");
    d.tell(Event::SurgeBegan {
        platform: "website".into(),
        activities: vec!["donate".into(), "everything else".into()],
        per_second: 300,
        baseline_milli: 12_000,
    });
    d.posture(Posture::Open, Posture::Watchful, "traffic is unusual, or an attack is just over");
    d.until("2026-11-17T12:06:00Z", s, crowd, "");
    d.tell(Event::SurgeEnded { platform: "website".into() });
    d.posture(Posture::Watchful, Posture::Open, "all is as usual");
    d.until("2026-11-17T19:14:00Z", m, q, "");
    d.until("2026-11-17T19:14:20Z", s, q, "");
    d.until("2026-11-17T19:14:22Z", s, Load { through: 400, failed: 10, p95: 140, ..q }, "donate");
    d.tell(Event::OriginDegraded {
        platform: "website".into(),
        summary: "21 requests wait for a free connection".into(),
    });
    d.tell(Event::AttackBegan { wave: 1, platform: "website".into(), activities: vec!["donate".into()], onset: time("2026-11-17T19:14:20Z"), evidence: vec![
        ev(EvidenceKind::RepeatedRequests, 93, 50, "93% of 824 requests in 2 s came from visitors who asked for the same path at least 3 times in those 2 s"),
        ev(EvidenceKind::ExcessivePageRate, 71, 40, "each visitor sent 71 requests in 2 s on average")], baseline_milli: 12_000 });
    d.engage(1, None, "tighten-sources", TIGHT);
    d.posture(Posture::Open, Posture::Guarded, "an attack is met by narrow procedures");
    d.until(
        "2026-11-17T19:14:23Z",
        s,
        Load { through: 1228, rate: 5000, failed: 20, p95: 1900, ..q },
        "donate",
    );
    d.engage(2, Some("donate"), "refuse-signature", "refuse requests whose path is \u{201c}/donate\u{201d}; the order of headers is rare on an ordinary day");
    d.until(
        "2026-11-17T19:14:25Z",
        s,
        Load { signature: 5200, rate: 300, p95: 110, ..q },
        "donate",
    );
    d.tell(Event::Mitigated { wave: 1, platform: "website".into(), after_ms: 5000 });
    d.tell(Event::OriginRecovered { platform: "website".into() });
    d.until("2026-11-17T19:17:10Z", s, Load { signature: 5200, rate: 300, p95: 85, ..q }, "donate");
    d.tell(Event::AttackChanged {
        wave: 1,
        platform: "website".into(),
        activities: vec!["donate".into(), "search".into()],
        evidence: vec![
            ev(
                EvidenceKind::CacheBusting,
                99,
                90,
                "of 2,110 requests with a query in 2 s, 99% had one never seen before",
            ),
            ev(
                EvidenceKind::RotatingUserAgents,
                86,
                50,
                "86% of requests in 2 s came from sources that changed their user agent",
            ),
        ],
        since_procedure_change_ms: Some(167_000),
    });
    d.tell(Event::MitigationLost { wave: 1, platform: "website".into() });
    d.until(
        "2026-11-17T19:17:11Z",
        s,
        Load { through: 800, rate: 900, failed: 15, p95: 700, ..q },
        "search",
    );
    d.engage(
        3,
        None,
        "challenge-redirect",
        "visitors without a token are sent once round by a redirect",
    );
    d.posture(Posture::Guarded, Posture::Siege, "visitors are challenged or activities shed");
    d.until(
        "2026-11-17T19:17:16Z",
        s,
        Load { challenged: 1900, passed: 10, rate: 700, p95: 120, ..q },
        "search",
    );
    d.tell(Event::Mitigated { wave: 1, platform: "website".into(), after_ms: 6000 });
    d.until(
        "2026-11-17T19:20:40Z",
        s,
        Load { challenged: 1900, passed: 4, rate: 700, p95: 90, ..q },
        "search",
    );
    d.until("2026-11-17T19:21:40Z", s, Load { challenged: 3, passed: 3, ..q }, "search");
    let (a, b) = ("2026-11-17T19:14:20Z", "2026-11-17T19:21:40Z");
    let offered = d.sum(a, b, Tally::offered);
    let forwarded = d.sum(a, b, |t| t.reasons.get("allowed").copied().unwrap_or(0));
    let passed = d.sum(a, b, |t| t.challenges_passed);
    let sig = d.sum(a, b, |t| t.reasons.get("signature").copied().unwrap_or(0));
    let rate = d.sum(a, b, |t| t.reasons.get("source-rate").copied().unwrap_or(0));
    let given = d.sum(a, b, |t| t.reasons.get("challenge-issued").copied().unwrap_or(0));
    d.tell(Event::AttackEnded {
        wave: 1,
        platform: "website".into(),
        figures: WaveFigures {
            offered,
            forwarded,
            stopped: offered - forwarded - passed,
            peak_offered_per_second: 6240,
            peak_forwarded_per_second: 1240,
            peak_stalled_headers: 0,
            peak_sources: SourceCount::About(74),
            sources: Some(SourceCount::About(430)),
            evidence_kinds: 4,
            changes: 1,
        },
    });
    d.until("2026-11-17T19:22:10Z", s, q, "");
    d.release(
        3,
        given - passed,
        given + passed,
        Cost { delayed: passed, refused_with_token: 0, collateral_per_million: 0 },
    );
    d.posture(Posture::Siege, Posture::Watchful, "traffic is unusual, or an attack is just over");
    d.until("2026-11-17T19:22:40Z", s, q, "");
    d.release(
        2,
        sig,
        sig + 900,
        Cost { delayed: 0, refused_with_token: 0, collateral_per_million: 290 },
    );
    d.until("2026-11-17T19:23:00Z", s, q, "");
    d.release(
        1,
        rate,
        offered,
        Cost { delayed: 0, refused_with_token: 4, collateral_per_million: 0 },
    );
    d.until("2026-11-17T19:24:00Z", s, q, "");
    d.full("2026-11-17T19:23:00Z");
    d.posture(Posture::Watchful, Posture::Open, "all is as usual");
    d.until("2026-11-17T22:41:00Z", m, q, "");
    d.receipt("NCSC", "web form", "INC-51907", "2026-11-17T22:40:00Z", true);
    d.until("2026-11-18T08:05:00Z", m, q, "");
    d.until("2026-11-18T08:05:04Z", s, Load { slow: 45, ..q }, "");
    d.tell(Event::AttackBegan { wave: 2, platform: "website".into(), activities: vec![], onset: time("2026-11-18T08:05:00Z"), evidence: vec![ev(EvidenceKind::StalledHeaders, 520, 20, "520 connections had begun a request over a second ago and not finished its headers; usual are 0")], baseline_milli: 12_000 });
    d.engage(4, None, "tighten-sources", TIGHT);
    d.posture(Posture::Open, Posture::Guarded, "an attack is met by narrow procedures");
    d.until("2026-11-18T08:05:09Z", s, Load { slow: 150, ..q }, "");
    d.tell(Event::Mitigated { wave: 2, platform: "website".into(), after_ms: 9000 });
    d.until("2026-11-18T08:07:00Z", s, Load { slow: 30, ..q }, "");
    d.until("2026-11-18T08:08:00Z", s, q, "");
    let (a, b) = ("2026-11-18T08:05:00Z", "2026-11-18T08:08:00Z");
    let offered = d.sum(a, b, Tally::offered);
    let forwarded = d.sum(a, b, |t| t.reasons.get("allowed").copied().unwrap_or(0));
    d.tell(Event::AttackEnded {
        wave: 2,
        platform: "website".into(),
        figures: WaveFigures {
            offered,
            forwarded,
            stopped: offered - forwarded,
            peak_offered_per_second: 162,
            peak_forwarded_per_second: 12,
            peak_stalled_headers: 520,
            peak_sources: SourceCount::About(28),
            sources: None,
            evidence_kinds: 1,
            changes: 0,
        },
    });
    d.until("2026-11-18T08:08:30Z", s, q, "");
    d.release(4, offered - forwarded, offered, Cost::default());
    d.until("2026-11-18T08:09:30Z", s, q, "");
    d.full("2026-11-18T08:08:30Z");
    d.posture(Posture::Watchful, Posture::Open, "all is as usual");
    d.until("2026-11-18T09:32:00Z", m, q, "");
    d.receipt("Metropolitan Police", "telephone", "CRN-77120", "2026-11-18T09:30:00Z", false);
    d.until("2026-11-18T11:30:00Z", m, q, "");
    d
}
fn small() -> Day {
    use Tier::*;
    let mut d = Day::begin(
        "2026-11-14T02:00:00Z",
        vec![(
            "website",
            &["lantern.example", "www.lantern.example"],
            &[("donate", Essential), ("appeals", Important), ("everything else", Important)],
            6,
        )],
    );
    let q = Load { people: 6, p95: 60, ..Load::default() };
    let m = 60_000;
    let s = 1000;
    d.until("2026-11-14T03:12:00Z", m, q, "");
    d.until("2026-11-14T03:12:05Z", s, q, "");
    d.until("2026-11-14T03:12:08Z", s, Load { through: 60, p95: 70, ..q }, "donate");
    d.tell(Event::AttackBegan { wave: 1, platform: "website".into(), activities: vec!["donate".into()], onset: time("2026-11-14T03:12:05Z"), evidence: vec![
        ev(EvidenceKind::RepeatedRequests, 88, 50, "88% of 180 requests in 3 s came from visitors who asked for the same path at least 3 times"),
        ev(EvidenceKind::UnusualUserAgent, 97, 60, "97% of requests in 2 s came with one user agent that is rare on an ordinary day")], baseline_milli: 6_000 });
    d.engage(1, None, "tighten-sources", TIGHT);
    d.posture(Posture::Open, Posture::Guarded, "an attack is met by narrow procedures");
    d.until("2026-11-14T03:12:09Z", s, Load { through: 84, rate: 750, p95: 75, ..q }, "donate");
    d.engage(2, Some("donate"), "refuse-signature", "refuse requests whose path is \u{201c}/donate\u{201d}; user agent is \u{201c}curl/8.5.0\u{201d}");
    d.until("2026-11-14T03:12:14Z", s, Load { signature: 700, rate: 60, p95: 70, ..q }, "donate");
    d.tell(Event::Mitigated { wave: 1, platform: "website".into(), after_ms: 9000 });
    d.until("2026-11-14T03:12:35Z", s, Load { signature: 700, rate: 60, p95: 65, ..q }, "donate");
    d.until("2026-11-14T03:12:50Z", s, q, "");
    let (a, b) = ("2026-11-14T03:12:05Z", "2026-11-14T03:12:50Z");
    let offered = d.sum(a, b, Tally::offered);
    let forwarded = d.sum(a, b, |t| t.reasons.get("allowed").copied().unwrap_or(0));
    let sig = d.sum(a, b, |t| t.reasons.get("signature").copied().unwrap_or(0));
    let rate = d.sum(a, b, |t| t.reasons.get("source-rate").copied().unwrap_or(0));
    d.tell(Event::AttackEnded {
        wave: 1,
        platform: "website".into(),
        figures: WaveFigures {
            offered,
            forwarded,
            stopped: offered - forwarded,
            peak_offered_per_second: 840,
            peak_forwarded_per_second: 90,
            peak_stalled_headers: 0,
            peak_sources: SourceCount::About(24),
            sources: Some(SourceCount::About(26)),
            evidence_kinds: 2,
            changes: 0,
        },
    });
    d.until("2026-11-14T03:13:20Z", s, q, "");
    d.release(2, sig, sig + 30, Cost::default());
    d.until("2026-11-14T03:13:30Z", s, q, "");
    d.release(1, rate, offered, Cost::default());
    d.posture(Posture::Guarded, Posture::Watchful, "traffic is unusual, or an attack is just over");
    d.until("2026-11-14T03:14:30Z", s, q, "");
    d.full("2026-11-14T03:13:30Z");
    d.posture(Posture::Watchful, Posture::Open, "all is as usual");
    d.until("2026-11-14T08:30:00Z", m, q, "");
    d
}
fn crowd() -> Day {
    use Tier::*;
    let mut d = Day::begin(
        "2026-11-03T18:00:00Z",
        vec![
            (
                "registration",
                &["register.wexbourne.example"],
                &[("apply", Essential), ("everything else", Important)],
                15,
            ),
            (
                "website",
                &["www.wexbourne.example"],
                &[("news", Optional), ("everything else", Important)],
                5,
            ),
        ],
    );
    let q = Load { people: 15, p95: 80, ..Load::default() };
    let m = 60_000;
    let s = 1000;
    d.until("2026-11-03T20:31:00Z", m, q, "");
    let c = Load { people: 410, p95: 300, ..q };
    d.until("2026-11-03T20:31:03Z", s, c, "");
    d.tell(Event::SurgeBegan {
        platform: "registration".into(),
        activities: vec!["apply".into()],
        per_second: 410,
        baseline_milli: 15_000,
    });
    d.posture(Posture::Open, Posture::Watchful, "traffic is unusual, or an attack is just over");
    d.until("2026-11-03T20:35:00Z", s, c, "");
    d.tell(Event::OriginDegraded {
        platform: "registration".into(),
        summary: "the origin answers too slowly".into(),
    });
    d.until("2026-11-03T20:40:00Z", s, Load { people: 180, failed: 100, p95: 4000, ..q }, "apply");
    let down = Load { people: 58, failed: 945, p95: 9000, ..q };
    d.until("2026-11-03T20:40:05Z", s, down, "apply");
    let p = || "registration".to_owned();
    let onset = time("2026-11-03T20:40:00Z");
    d.tell(Event::OriginDown { platform: p(), onset, unserved: 270, served: 20, failed_probes: 2 });
    d.until("2026-11-03T20:46:30Z", s, down, "apply");
    d.tell(Event::OriginUp {
        platform: p(),
        onset,
        unserved: 21_060,
        served: 1_560,
        failed_probes: 64,
    });
    d.until("2026-11-03T20:47:00Z", s, Load { people: 200, p95: 400, ..q }, "");
    d.tell(Event::OriginRecovered { platform: p() });
    d.until("2026-11-03T21:10:00Z", m, Load { people: 200, p95: 200, ..q }, "");
    d.tell(Event::SurgeEnded { platform: p() });
    d.posture(Posture::Watchful, Posture::Open, "all is as usual");
    d.until("2026-11-03T21:12:00Z", m, q, "");
    d.full("2026-11-03T21:11:00Z");
    d.until("2026-11-04T09:30:00Z", m, q, "");
    d
}
fn outage() -> Day {
    use Tier::*;
    let mut d = Day::begin(
        "2026-11-08T00:30:00Z",
        vec![
            (
                "portal",
                &["portal.stbrannoc.example"],
                &[
                    ("appointments", Essential),
                    ("results", Important),
                    ("everything else", Important),
                ],
                2,
            ),
            ("website", &["www.stbrannoc.example"], &[("everything else", Important)], 4),
        ],
    );
    let q = Load { people: 2, p95: 90, ..Load::default() };
    let m = 60_000;
    d.until("2026-11-08T02:10:00Z", m, q, "");
    let p = || "portal".to_owned();
    let o1 = time("2026-11-08T02:10:00Z");
    d.set("2026-11-08T02:10:06Z");
    d.tell(Event::OriginDown {
        platform: p(),
        onset: o1,
        unserved: 8,
        served: 0,
        failed_probes: 2,
    });
    d.until(
        "2026-11-08T02:57:00Z",
        m,
        Load { people: 1, failed: 1000, p95: 5000, ..q },
        "appointments",
    );
    let up = Event::OriginUp {
        platform: p(),
        onset: o1,
        unserved: d.fails("2026-11-08T02:10:00Z", "2026-11-08T02:57:00Z", "origin-timeout"),
        served: 0,
        failed_probes: 560,
    };
    d.tell(up);
    d.until("2026-11-08T04:20:00Z", m, q, "");
    let o2 = time("2026-11-08T04:20:00Z");
    d.set("2026-11-08T04:20:06Z");
    d.tell(Event::OriginDown {
        platform: p(),
        onset: o2,
        unserved: 7,
        served: 2,
        failed_probes: 2,
    });
    d.until(
        "2026-11-08T04:23:00Z",
        m,
        Load { people: 1, failed: 888, p95: 5000, ..q },
        "appointments",
    );
    let up = Event::OriginUp {
        platform: p(),
        onset: o2,
        unserved: d.fails("2026-11-08T04:20:00Z", "2026-11-08T04:23:00Z", "origin-timeout"),
        served: d.fails("2026-11-08T04:20:00Z", "2026-11-08T04:23:00Z", "served"),
        failed_probes: 36,
    };
    d.tell(up);
    d.until("2026-11-08T11:22:00Z", m, q, "");
    d.receipt("ICO", "web form", "IC-204418", "2026-11-08T11:20:00Z", true);
    d.until("2026-11-08T14:30:00Z", m, q, "");
    d
}

/// The entries of a ledger by its name in the corpus, with the number of their leaves.
pub fn entries(name: &str) -> Vec<(u64, Entry)> {
    let day = match name {
        "two-waves" => two_waves(),
        "small-attack" => small(),
        "crowd" => crowd(),
        _ => outage(),
    };
    day.entries
}
