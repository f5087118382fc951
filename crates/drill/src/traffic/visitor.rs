//! People: a page and its assets, thought, another page, a form.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::client::{BrowserCookies, ClientError, HttpClient, redirect_target};
use super::context::{ANNOUNCED_WAIT_LIMIT, PAGE_TIMEOUT, RunContext, outcome_from_status};
use crate::browser::{BrowserRequest, FetchKind};
use crate::plan::{VisitStep, Visitor, VisitorRequest};
use crate::recording::{ClientKind, Sample, SampleOutcome};
use crate::site;

/// Redirects and pages to wait on that a browser follows for one page.
const HOPS_MAX: u8 = 10;

/// Carries out one visit.
pub(super) async fn run_visit(context: Arc<RunContext>, number: usize) -> Vec<Sample> {
    let Some(visitor) = context.plan.visitors.get(number) else {
        return Vec::new();
    };
    let mut simulated = SimulatedVisitor {
        context: &context,
        visitor,
        client: HttpClient::new(context.target, visitor.source),
        cookies: BrowserCookies::default(),
        has_assets: visitor.has_assets || !visitor.browser.fetches_assets(),
        last_page: visitor.has_assets.then(|| "/".to_owned()),
        requests: 0,
    };
    let mut samples = Vec::with_capacity(visitor.steps.len());
    for step in &visitor.steps {
        sleep_until(context.instant(step.at_ms)).await;
        let start_ms = context.now_ms();
        let Some(phase) = context.phase_at(start_ms) else {
            break;
        };
        let begun = Instant::now();
        simulated.requests = 0;
        let outcome = simulated.perform(step).await;
        let latency_micros = begun.elapsed().as_micros() as u32;
        context.counters.people_outcome(context.now_ms(), outcome.is_served());
        samples.push(Sample {
            phase,
            client: ClientKind::Person(visitor.kind),
            visitor: number as u32,
            start_ms,
            latency_micros,
            requests: simulated.requests,
            outcome,
        });
    }
    samples
}

struct SimulatedVisitor<'a> {
    context: &'a RunContext,
    visitor: &'a Visitor,
    client: HttpClient,
    cookies: BrowserCookies,
    has_assets: bool,
    last_page: Option<String>,
    requests: u16,
}

impl SimulatedVisitor<'_> {
    async fn perform(&mut self, step: &VisitStep) -> SampleOutcome {
        match &step.request {
            VisitorRequest::Page(path) => {
                let fetch =
                    if self.last_page.is_some() { FetchKind::Link } else { FetchKind::Landing };
                let outcome = self.fetch_page(path, fetch, None).await;
                if !outcome.is_served() {
                    return outcome;
                }
                self.last_page = Some(path.clone());
                match self.fetch_assets(path).await {
                    None => outcome,
                    Some(missing) => missing,
                }
            }
            VisitorRequest::Form { path, body } => {
                self.fetch_page(path, FetchKind::Form(body.len()), Some(body)).await
            }
            VisitorRequest::Feed => self.fetch_page("/feed.xml", FetchKind::Feed, None).await,
        }
    }

    /// Fetches a page or sends a form, following redirects and announced waits until the timeout
    /// ends.
    async fn fetch_page(
        &mut self,
        path: &str,
        fetch: FetchKind,
        form: Option<&str>,
    ) -> SampleOutcome {
        let mut deadline = Instant::now() + PAGE_TIMEOUT;
        let mut announced_left = ANNOUNCED_WAIT_LIMIT;
        let mut path = path.to_owned();
        let mut fetch = fetch;
        let mut form = form;
        let mut form_accepted = form.is_none();
        let mut round_trips: u8 = 0;
        for _ in 0..=HOPS_MAX {
            let response = match self.send_request(&path, fetch, form, deadline).await {
                Ok(response) => response,
                Err(ClientError::TimedOut) => return SampleOutcome::TimedOut,
                Err(ClientError::ConnectionLost) => return SampleOutcome::ConnectionFailed,
            };
            let Some(next) = redirect_target(&response, &self.context.host, &path) else {
                form_accepted |= form.is_some();
                return match outcome_from_status(response.status) {
                    // The page came, but what was typed into the form is lost.
                    SampleOutcome::Served if !form_accepted => {
                        SampleOutcome::Refused { status: response.status }
                    }
                    SampleOutcome::Served if round_trips > 0 => {
                        SampleOutcome::ServedAfterChallenge { round_trips }
                    }
                    other => other,
                };
            };
            // The origin sends people on only after a form, and to another page.
            let is_site_redirect =
                form.is_some() && !next.is_refresh && !next.repeats_form && next.path != path;
            if is_site_redirect {
                form_accepted = true;
            } else {
                round_trips = round_trips.saturating_add(1);
            }
            let wait = Duration::from_secs(u64::from(next.wait_seconds));
            if wait > announced_left {
                sleep(announced_left).await;
                return SampleOutcome::TimedOut;
            }
            announced_left -= wait;
            deadline += wait;
            sleep(wait).await;
            if !next.repeats_form && form.take().is_some() {
                fetch = FetchKind::Link;
            }
            path = next.path;
            if round_trips > HOPS_MAX {
                return SampleOutcome::Refused { status: response.status };
            }
        }
        SampleOutcome::Refused { status: 310 }
    }

    /// Fetches what a page needs, the first time; the first thing that went wrong, if any did.
    async fn fetch_assets(&mut self, page: &str) -> Option<SampleOutcome> {
        if self.has_assets {
            return None;
        }
        self.last_page = Some(page.to_owned());
        for (path, kind) in site::ASSETS {
            let deadline = Instant::now() + PAGE_TIMEOUT;
            let mut path = path.to_owned();
            let mut outcome = SampleOutcome::Refused { status: 310 };
            for _ in 0..=HOPS_MAX {
                outcome =
                    match self.send_request(&path, FetchKind::Asset(kind), None, deadline).await {
                        Ok(response) => match redirect_target(&response, &self.context.host, &path)
                        {
                            Some(next) if !next.is_refresh => {
                                path = next.path;
                                continue;
                            }
                            // A picture cannot ask anybody to wait.
                            Some(_) => SampleOutcome::Refused { status: response.status },
                            None => outcome_from_status(response.status),
                        },
                        Err(ClientError::TimedOut) => SampleOutcome::TimedOut,
                        Err(ClientError::ConnectionLost) => SampleOutcome::ConnectionFailed,
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

    async fn send_request(
        &mut self,
        path: &str,
        fetch: FetchKind,
        form: Option<&str>,
        deadline: Instant,
    ) -> Result<crate::http1::ParsedResponse, ClientError> {
        let cookie = self.cookies.header_value();
        let browser_request = BrowserRequest {
            host: &self.context.host,
            path,
            fetch,
            referrer: self.last_page.as_deref().filter(|_| fetch != FetchKind::Landing),
            cookie: cookie.as_deref(),
        };
        let mut bytes = Vec::with_capacity(1_024);
        self.visitor.browser.write_head(&browser_request, &mut bytes);
        bytes.extend_from_slice(form.unwrap_or_default().as_bytes());
        self.requests = self.requests.saturating_add(1);
        self.context.counters.people_request(self.context.now_ms());
        let response = self.client.send(&bytes, deadline).await?;
        if self.visitor.keeps_cookies {
            self.cookies.store(&response);
        }
        Ok(response)
    }
}
