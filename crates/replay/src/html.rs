//! Findings as one page that is complete in itself: nothing in it is fetched from elsewhere, and nothing needs
//! JavaScript.

use askama::Template;
use portcullis_incident::words;
use portcullis_model::WallTime;

use crate::findings::Findings;
use crate::minutes::MinutesFindings;
use crate::series::BinnedSeries;
use crate::text;
use crate::text_page::TextBlock;

#[derive(Template)]
#[template(path = "replay.html")]
struct ReplayPage {
    title: String,
    reliable: bool,
    basis: Vec<PartTemplate>,
    chart: String,
    load: Vec<[String; 5]>,
    events: Vec<PageEvent>,
    sections: Vec<PageSection>,
}

/// A part with a heading.
struct PageSection {
    title: String,
    parts: Vec<PartTemplate>,
}

#[derive(Template)]
#[template(path = "part.html")]
struct PartTemplate {
    part: PagePart,
}

enum PagePart {
    Paragraph(String),
    Detail(String),
    Items(Vec<String>),
    /// A caption, and rows of a number and what it counts.
    Table(String, Vec<PageCount>),
}

/// A row of a table of counts.
struct PageCount {
    count: String,
    what: String,
    /// The length of its bar: its part of the largest count of its table.
    percent: u64,
}

/// Rows with bars, of counts as they are written (`≤ 1,200`).
fn add_count(rows: &mut Vec<PageCount>, count: String, what: String) {
    let number = |count: &str| -> u64 {
        let digits: String = count.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    };
    rows.push(PageCount { count, what, percent: 0 });
    let most = rows.iter().map(|row| number(&row.count)).max().unwrap_or(0).max(1);
    for row in rows {
        row.percent = number(&row.count).saturating_mul(100) / most;
    }
}

/// One row of the table of events.
struct PageEvent {
    from: WallTime,
    when: String,
    what: String,
    place: String,
    peak: String,
}

impl Findings {
    /// The findings as one HTML page.
    pub fn html(&self) -> String {
        let mut events = Vec::new();
        for surge in self.surges.iter().filter(|surge| surge.turned_into_wave.is_none()) {
            let place = format!("{} ({})", surge.platform, words::list(&surge.activities));
            events.push(event(surge.from, surge.to, "Surge", &place, Some(surge.peak_per_second)));
        }
        for attack in &self.attacks {
            let place = format!("{} ({})", attack.platform, words::list(&attack.activities));
            let what = format!("Attack, wave {}", attack.wave);
            events.push(event(
                attack.onset,
                attack.to,
                &what,
                &place,
                Some(attack.peak_per_second),
            ));
        }
        for procedure in &self.procedures {
            let facts = &procedure.facts;
            let what = format!("Procedure: {}", words::plain(&facts.summary));
            let (from, to) = (procedure.engaged, procedure.released);
            events.push(event(from, to, &what, &facts.platform, None));
        }
        for degradation in &self.degradations {
            let what = format!("Origin degraded: {}", words::plain(&degradation.summary));
            let (from, to) = (degradation.from, degradation.to);
            events.push(event(from, to, &what, &degradation.platform, None));
        }
        let blocks = text::write_findings(self).into_blocks();
        page(blocks, self.reliable, self.svg(), &self.series, events)
    }
}

impl MinutesFindings {
    /// The findings as one HTML page.
    pub fn html(&self) -> String {
        let surges = self.surges.iter();
        let events = surges
            .map(|s| event(s.from, s.to, "Surge", &self.file, Some(s.peak_per_second)))
            .collect();
        page(self.page().into_blocks(), self.is_reliable(), self.svg(), &self.series, events)
    }
}

fn event(
    from: WallTime,
    to: Option<WallTime>,
    what: &str,
    place: &str,
    peak: Option<u64>,
) -> PageEvent {
    PageEvent {
        from,
        when: text::describe_period(from, to),
        what: what.to_owned(),
        place: words::plain(place),
        peak: peak.map_or_else(String::new, words::count),
    }
}

/// The first heading is the title, and what follows it is what the result is based on.
fn page(
    blocks: Vec<TextBlock>,
    reliable: bool,
    chart: String,
    series: &BinnedSeries,
    mut events: Vec<PageEvent>,
) -> String {
    events.sort_by_key(|event| event.from);
    let mut sections: Vec<PageSection> = Vec::new();
    for block in blocks {
        if let TextBlock::Heading(title) = block {
            sections.push(PageSection { title, parts: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.add(block);
        }
    }
    let mut sections = sections.into_iter();
    let first = sections.next();
    let (title, basis) = first.map_or_else(Default::default, |first| (first.title, first.parts));
    let page = ReplayPage {
        title,
        reliable,
        basis,
        chart,
        load: load(series),
        events,
        sections: sections.collect(),
    };
    page.render().expect("writing a page to a string cannot fail")
}

impl PageSection {
    /// Adds a block: items and rows join those before them, and rows take the line before them for
    /// their caption.
    fn add(&mut self, block: TextBlock) {
        let last = self.parts.last_mut().map(|last| &mut last.part);
        let part = match (block, last) {
            (TextBlock::Item(_, item), Some(PagePart::Items(items))) => return items.push(item),
            (TextBlock::Row(count, what), Some(PagePart::Table(_, rows))) => {
                return add_count(rows, count, what);
            }
            (TextBlock::Row(count, what), Some(last @ PagePart::Paragraph(_))) => {
                let PagePart::Paragraph(caption) = last else { return };
                *last = table(core::mem::take(caption), count, what);
                return;
            }
            (TextBlock::Row(count, what), _) => table(String::new(), count, what),
            (TextBlock::Item(_, item), _) => PagePart::Items(vec![item]),
            (TextBlock::Heading(text) | TextBlock::Line(0 | 1, text), _) => {
                PagePart::Paragraph(text)
            }
            (TextBlock::Line(_, text), _) => PagePart::Detail(text),
        };
        self.parts.push(PartTemplate { part });
    }
}

fn table(caption: String, count: String, what: String) -> PagePart {
    let mut rows = Vec::new();
    add_count(&mut rows, count, what);
    PagePart::Table(caption, rows)
}

/// The load of each bin: when, requests, forwarded, busiest second, baseline.
fn load(series: &BinnedSeries) -> Vec<[String; 5]> {
    let bins = series.bins.iter().enumerate();
    bins.map(|(at, bin)| {
        let from = WallTime(series.bin_start(at) * 1_000);
        [
            format!("{} {}", words::day(from), from.clock()),
            words::count(bin.offered),
            words::count(bin.forwarded),
            words::count(bin.peak_per_second),
            bin.baseline_milli.map_or_else(String::new, words::thousandths),
        ]
    })
    .collect()
}
