//! How large: by published figures, and by what this site is used to.

use serde::Serialize;

use crate::words;
use crate::{Figure, Incident, LeafSet, TimeWindow, Unit};

/// Where a published figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Citation {
    /// Who published it.
    pub publisher: &'static str,
    /// The time that it is about.
    pub period: &'static str,
    /// Its text.
    pub summary: &'static str,
    /// When and how it was read for this version.
    pub read: &'static str,
}

/// Imperva on application-layer attacks of 2019, contemporary with the Labour case.
pub const IMPERVA_2019: Citation = Citation {
    publisher: "Imperva",
    period: "May to December 2019, 42,390 application-layer attacks",
    summary: "application-layer attacks between 100 and 1,000 requests per second were generally \
           mid-sized",
    read: "reprint of 13 April 2020, read November 2026",
};

/// Cloudflare, fourth quarter of 2024.
pub const CLOUDFLARE_2024Q4: Citation = Citation {
    publisher: "Cloudflare",
    period: "fourth quarter of 2024",
    summary: "63% of HTTP attacks stayed under 50,000 requests per second; 72% ended within ten \
           minutes, 22% lasted over an hour, 11% over a day",
    read: "stored copy of the report, read November 2026",
};

/// Cloudflare, first quarter of 2025.
pub const CLOUDFLARE_2025Q1: Citation = Citation {
    publisher: "Cloudflare",
    period: "first quarter of 2025",
    summary: "94% of HTTP attacks stayed under 1 million requests per second",
    read: "quoted by others, read November 2026",
};

/// Cloudflare's definition of hyper-volumetric.
pub const CLOUDFLARE_2025Q2: Citation = Citation {
    publisher: "Cloudflare",
    period: "second quarter of 2025",
    summary: "HTTP attacks over 1 million requests per second are called hyper-volumetric",
    read: "reported by others, read November 2026",
};

/// The caveats of any comparison with published figures.
pub const CAVEAT: &str = "Published figures describe their publisher's customers, its threshold of \
                          detection and one period; those of different publishers cannot be \
                          compared with each other.";

/// Where the peak lies among published figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// Under 100 requests per second.
    UnderMidSized,
    /// 100 to 1,000: what Imperva called mid-sized in 2019.
    MidSized2019,
    /// Up to 50,000: the smaller 63% of 2024.
    Smaller63,
    /// Up to 1,000,000: between the 63rd and about the 94th of a hundred.
    Upper37,
    /// Over 1,000,000: the largest 6% or so, hyper-volumetric.
    HyperVolumetric,
}

impl Size {
    /// The size of a peak in requests per second.
    pub const fn from_rate(per_second: u64) -> Self {
        match per_second {
            0..100 => Self::UnderMidSized,
            100..=1_000 => Self::MidSized2019,
            1_001..=50_000 => Self::Smaller63,
            50_001..=1_000_000 => Self::Upper37,
            _ => Self::HyperVolumetric,
        }
    }

    /// In words, to follow "the busiest moment lies".
    pub const fn describe(self) -> &'static str {
        match self {
            Self::UnderMidSized => "under what Imperva called mid-sized in 2019",
            Self::MidSized2019 => "inside the range that Imperva called mid-sized in 2019",
            Self::Smaller63 => {
                "among the smaller 63% of HTTP attacks that Cloudflare counted at the end of 2024"
            }
            Self::Upper37 => {
                "among the larger 37% of HTTP attacks that Cloudflare counted at the end of 2024, \
                 and under the million that 94% stayed under in early 2025"
            }
            Self::HyperVolumetric => {
                "over 1 million requests per second: among the largest 6% or so of early 2025, \
                 hyper-volumetric by Cloudflare's definition"
            }
        }
    }

    /// The published figures that say so.
    pub const fn citations(self) -> &'static [Citation] {
        match self {
            Self::UnderMidSized | Self::MidSized2019 => &[IMPERVA_2019, CLOUDFLARE_2024Q4],
            Self::Smaller63 => &[CLOUDFLARE_2024Q4],
            Self::Upper37 => &[CLOUDFLARE_2024Q4, CLOUDFLARE_2025Q1],
            Self::HyperVolumetric => &[CLOUDFLARE_2025Q1, CLOUDFLARE_2025Q2],
        }
    }
}

/// A measured figure, compared with published ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedComparison {
    /// What was measured here.
    pub figure: Figure,
    /// Where it lies.
    pub summary: String,
    /// By which published figures.
    pub citations: Vec<Citation>,
}

/// How large an incident was, on two axes that are never mixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// Figures are lower bounds: something was not seen or not recorded.
    pub saturated: bool,
    /// Where the peak lies; `None` if nothing was counted.
    pub size: Option<Size>,
    /// The peak, compared with published peaks.
    pub peak: Option<PublishedComparison>,
    /// The longest wave, compared with published durations; `None` while no wave's end is known.
    pub duration: Option<PublishedComparison>,
    /// The peak against this site's own baseline.
    pub peak_to_baseline: Option<Figure>,
    /// What was offered over a whole tally, against the most that the origin was seen to handle.
    pub sustained_to_capacity: Option<Figure>,
    /// The most that the origin was seen to handle.
    pub observed_capacity: Option<Figure>,
    /// Its caveats.
    pub caveats: Vec<String>,
}

impl Scale {
    /// A multiple of the own baseline from which `large for this site` is used. Own constant:
    /// ten times what a site is used to is far outside any baseline's week.
    pub const LARGE_FOR_SITE_TENTHS: u64 = 100;

    /// Large by published figures: the only size with a published name for it.
    pub fn is_large_by_published_figures(&self) -> bool {
        self.size == Some(Size::HyperVolumetric)
    }

    /// Large for this site.
    pub fn is_large_for_site(&self) -> bool {
        self.peak_to_baseline.as_ref().is_some_and(|f| f.value >= Self::LARGE_FOR_SITE_TENTHS)
    }

    /// The whole in one or two sentences that the figures support.
    pub fn describe(&self) -> String {
        let Some(peak) = &self.peak else {
            return "No peak was recorded.".to_owned();
        };
        let first = format!("The busiest moment, {}, lies {}.", peak.figure.text(), peak.summary);
        let Some(baseline) = &self.peak_to_baseline else {
            return first;
        };
        let large = if self.is_large_for_site() {
            "large for this site"
        } else {
            "not far from what this site is used to"
        };
        format!("{first} It was {} the site's own baseline: {large}.", baseline.text())
    }
}

/// Grades the scale of an incident.
pub fn scale(incident: &Incident) -> Scale {
    let saturated = incident.saturated();
    let attack = incident.attack();
    let peak = incident.peak();
    let size = peak.as_ref().map(|p| Size::from_rate(p.value));
    let mut caveats = vec![CAVEAT.to_owned()];
    if saturated {
        caveats.push(
            "Something of the attack was not seen or not recorded, so figures of scale are lower \
             bounds."
                .to_owned(),
        );
    }
    caveats.push(
        "A gate can only count what reaches it: traffic that the uplink lost or a provider \
         filtered before it is not in these figures."
            .to_owned(),
    );

    let baseline = attack.peak_offered.as_ref().and_then(|peak| {
        // The baseline of the wave that the peak belongs to.
        let mut waves = incident.waves.iter().rev();
        let wave = waves.find(|w| w.platform == peak.platform && w.onset <= peak.window.to)?;
        let tenths = ratio_tenths(peak.per_second.saturating_mul(1_000), wave.baseline_milli)?;
        let leaves: LeafSet = [wave.detected.leaf, peak.leaf].into_iter().collect();
        Some(
            Figure::new(
                format!("busiest moment against the baseline of {}", peak.platform),
                tenths,
                Unit::Tenths,
                leaves,
            )
            .within(Some(peak.window))
            .at_least(saturated),
        )
    });
    let sustained = attack.sustained_offered.as_ref();
    let record = sustained.and_then(|s| incident.platform(&s.platform));
    let capacity = record.and_then(|record| record.observed_capacity.as_ref());
    let sustained_to_capacity = sustained.zip(capacity).and_then(|(offered, capacity)| {
        let tenths = ratio_tenths(offered.per_second, capacity.per_second)?;
        let leaves: LeafSet = [capacity.leaf, offered.leaf].into_iter().collect();
        Some(
            Figure::new(
                format!(
                    "offered over the busiest whole count on {}, against the most that its origin \
                     was seen to handle",
                    offered.platform
                ),
                tenths,
                Unit::Tenths,
                leaves,
            )
            .within(Some(offered.window))
            .at_least(saturated),
        )
    });
    let observed_capacity = capacity.map(|capacity| {
        capacity
            .figure(format!("the most that the origin of {} was seen to handle", capacity.platform))
    });
    if observed_capacity.is_some() {
        caveats.push(
            "What the origin was seen to handle is a lower bound of its capacity: it was not tested \
             to its limit. Requests also differ in what they cost."
                .to_owned(),
        );
    }
    Scale {
        saturated,
        size,
        peak: peak.zip(size).map(|(figure, size)| PublishedComparison {
            figure,
            summary: size.describe().to_owned(),
            citations: size.citations().to_vec(),
        }),
        duration: longest_wave(incident),
        peak_to_baseline: baseline,
        sustained_to_capacity,
        observed_capacity,
        caveats,
    }
}

fn longest_wave(incident: &Incident) -> Option<PublishedComparison> {
    let ended = incident
        .waves
        .iter()
        .filter(|wave| wave.ended.is_some())
        .map(|wave| (TimeWindow::new(wave.onset, wave.until(incident.as_of.at)), wave))
        .max_by_key(|(window, _)| window.millis());
    let (window, wave) = ended?;
    let ms = window.millis();
    let summary = match ms / 60_000 {
        0..10 => "shorter than ten minutes, as 72% of HTTP attacks were",
        10..60 => "between ten minutes and an hour",
        60..1_440 => "over an hour, as 22% of HTTP attacks were",
        _ => "over a day, as 11% of HTTP attacks were",
    };
    let leaves: LeafSet = [Some(wave.detected.leaf), wave.ended.as_ref().map(|e| e.stamp.leaf)]
        .into_iter()
        .flatten()
        .collect();
    let name = if incident.waves.len() == 1 {
        "duration of the wave, with the quiet time that ends it".to_owned()
    } else {
        format!(
            "the longest of {}, with the quiet time that ends it",
            words::counted(incident.waves.len() as u64, "wave")
        )
    };
    let cut = incident.waves.iter().any(|wave| wave.ended.is_none());
    Some(PublishedComparison {
        figure: Figure::new(name, ms, Unit::Millis, leaves).within(Some(window)).at_least(cut),
        summary: summary.to_owned(),
        citations: vec![CLOUDFLARE_2024Q4],
    })
}

/// `a / b` in tenths, cut; `None` if there is nothing to divide by.
fn ratio_tenths(a: u64, b: u64) -> Option<u64> {
    (b > 0).then(|| {
        let tenths = u128::from(a) * 10 / u128::from(b);
        u64::try_from(tenths).unwrap_or(u64::MAX)
    })
}

impl Scale {
    /// The scale as lines for a report: what was measured, where it is on the scale, and whose scale.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for comparison in self.peak.iter().chain(&self.duration) {
            let sources: Vec<String> = comparison.citations.iter().map(Citation::cite).collect();
            lines.push(format!(
                "{}: {}. By published figures: {}. ({})",
                words::sentence(&comparison.figure.name),
                comparison.figure.text(),
                comparison.summary,
                sources.join("; "),
            ));
        }
        for figure in self
            .peak_to_baseline
            .iter()
            .chain(&self.sustained_to_capacity)
            .chain(&self.observed_capacity)
        {
            lines.push(format!("{}: {}.", words::sentence(&figure.name), figure.text()));
        }
        lines
    }
}

impl Citation {
    /// Publisher, period, and when it was read.
    pub fn cite(&self) -> String {
        format!("{}, {}: {}; {}", self.publisher, self.period, self.summary, self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_change_where_the_published_figures_do() {
        assert_eq!(Size::from_rate(99), Size::UnderMidSized);
        assert_eq!(Size::from_rate(1_000), Size::MidSized2019);
        assert_eq!(Size::from_rate(50_000), Size::Smaller63);
        assert_eq!(Size::from_rate(1_000_000), Size::Upper37);
        assert_eq!(Size::from_rate(1_000_001), Size::HyperVolumetric);
    }

    #[test]
    fn a_ratio_is_cut_and_nothing_is_divided_by_zero() {
        assert_eq!(ratio_tenths(199, 100), Some(19));
        assert_eq!(ratio_tenths(1, 0), None);
    }
}
