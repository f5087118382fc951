//! People: a page and its assets, thought, another page, a form.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::browser::{Fetch, Head};
use super::caller::{CallError, Caller, Jar, onward};
use super::{ANNOUNCED_PATIENCE, Ground, PATIENCE, outcome_of};
use crate::plan::{Ask, Step, Visitor};
use crate::recording::{Outcome, Sample, Who};
use crate::site;

/// Redirects and pages to wait on that a browser follows for one page.
const HOPS_MAX: u8 = 10;

/// Carries out one visit.
pub(super) async fn visit(ground: Arc<Ground>, number: usize) -> Vec<Sample> {
    let Some(visitor) = ground.plan.visitors.get(number) else {
        return Vec::new();
    };
    let mut person = Person {
        ground: &ground,
        visitor,
        caller: Caller::new(ground.target, visitor.source),
        jar: Jar::default(),
        has_assets: visitor.has_assets || !visitor.browser.fetches_assets(),
        last_page: visitor.has_assets.then(|| "/".to_owned()),
        requests: 0,
    };
    let mut samples = Vec::with_capacity(visitor.steps.len());
    for step in &visitor.steps {
        sleep_until(ground.instant(step.at_ms)).await;
        let start_ms = ground.now_ms();
        let Some(phase) = ground.phase_at(start_ms) else {
            break;
        };
        let begun = Instant::now();
        person.requests = 0;
        let outcome = person.take(step).await;
        let latency_micros = begun.elapsed().as_micros() as u32;
        ground.tally.people_outcome(ground.now_ms(), outcome.is_served());
        samples.push(Sample {
            phase,
            who: Who::Person(visitor.kind),
            visitor: number as u32,
            start_ms,
            latency_micros,
            requests: person.requests,
            outcome,
        });
    }
    samples
}

struct Person<'a> {
    ground: &'a Ground,
    visitor: &'a Visitor,
    caller: Caller,
    jar: Jar,
    has_assets: bool,
    last_page: Option<String>,
    requests: u16,
}

impl Person<'_> {
    async fn take(&mut self, step: &Step) -> Outcome {
        match &step.ask {
            Ask::Page(path) => {
                let fetch = if self.last_page.is_some() { Fetch::Link } else { Fetch::Landing };
                let outcome = self.document(path, fetch, None).await;
                if !outcome.is_served() {
                    return outcome;
                }
                self.last_page = Some(path.clone());
                match self.assets(path).await {
                    None => outcome,
                    Some(missing) => missing,
                }
            }
            Ask::Form { path, body } => {
                self.document(path, Fetch::Form(body.len()), Some(body)).await
            }
            Ask::Feed => self.document("/feed.xml", Fetch::Feed, None).await,
        }
    }

    /// Fetches a page or sends a form, following where it leads until patience ends.
    async fn document(&mut self, path: &str, fetch: Fetch, form: Option<&str>) -> Outcome {
        let mut deadline = Instant::now() + PATIENCE;
        let mut announced_left = ANNOUNCED_PATIENCE;
        let mut path = path.to_owned();
        let mut fetch = fetch;
        let mut form = form;
        let mut form_taken = form.is_none();
        let mut round_trips: u8 = 0;
        for _ in 0..=HOPS_MAX {
            let response = match self.request(&path, fetch, form, deadline).await {
                Ok(response) => response,
                Err(CallError::TimedOut) => return Outcome::TimedOut,
                Err(CallError::Broken) => return Outcome::ConnectionFailed,
            };
            let Some(next) = onward(&response, &self.ground.host, &path) else {
                form_taken |= form.is_some();
                return match outcome_of(response.status) {
                    // The page came, but what was typed into the form is lost.
                    Outcome::Served if !form_taken => Outcome::Refused { status: response.status },
                    Outcome::Served if round_trips > 0 => {
                        Outcome::ServedAfterChallenge { round_trips }
                    }
                    other => other,
                };
            };
            // The origin sends people on only after a form, and to another page.
            let is_the_sites_own =
                form.is_some() && !next.is_refresh && !next.repeats_form && next.path != path;
            if is_the_sites_own {
                form_taken = true;
            } else {
                round_trips = round_trips.saturating_add(1);
            }
            let wait = Duration::from_secs(u64::from(next.wait_seconds));
            if wait > announced_left {
                sleep(announced_left).await;
                return Outcome::TimedOut;
            }
            announced_left -= wait;
            deadline += wait;
            sleep(wait).await;
            if !next.repeats_form && form.take().is_some() {
                fetch = Fetch::Link;
            }
            path = next.path;
            if round_trips > HOPS_MAX {
                return Outcome::Refused { status: response.status };
            }
        }
        Outcome::Refused { status: 310 }
    }

    /// Fetches what a page needs, the first time; the first thing that went wrong, if any did.
    async fn assets(&mut self, page: &str) -> Option<Outcome> {
        if self.has_assets {
            return None;
        }
        self.last_page = Some(page.to_owned());
        for (path, kind) in site::ASSETS {
            let deadline = Instant::now() + PATIENCE;
            let mut path = path.to_owned();
            let mut outcome = Outcome::Refused { status: 310 };
            for _ in 0..=HOPS_MAX {
                outcome = match self.request(&path, Fetch::Asset(kind), None, deadline).await {
                    Ok(response) => match onward(&response, &self.ground.host, &path) {
                        Some(next) if !next.is_refresh => {
                            path = next.path;
                            continue;
                        }
                        // A picture cannot ask anybody to wait.
                        Some(_) => Outcome::Refused { status: response.status },
                        None => outcome_of(response.status),
                    },
                    Err(CallError::TimedOut) => Outcome::TimedOut,
                    Err(CallError::Broken) => Outcome::ConnectionFailed,
                };
                break;
            }
            if !outcome.is_served() {
                return Some(outcome);
            }
        }
        self.has_assets = true;
        None
    }

    async fn request(
        &mut self,
        path: &str,
        fetch: Fetch,
        form: Option<&str>,
        deadline: Instant,
    ) -> Result<crate::wire::Response, CallError> {
        let cookie = self.jar.field();
        let head = Head {
            host: &self.ground.host,
            path,
            fetch,
            referrer: self.last_page.as_deref().filter(|_| fetch != Fetch::Landing),
            cookie: cookie.as_deref(),
        };
        let mut bytes = Vec::with_capacity(1_024);
        self.visitor.browser.write_head(&head, &mut bytes);
        bytes.extend_from_slice(form.unwrap_or_default().as_bytes());
        self.requests = self.requests.saturating_add(1);
        self.ground.tally.people_request(self.ground.now_ms());
        let response = self.caller.call(&bytes, deadline).await?;
        if self.visitor.keeps_cookies {
            self.jar.keep(&response);
        }
        Ok(response)
    }
}
