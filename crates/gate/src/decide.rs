//! Where a request is forwarded, challenged or refused.

use core::hash::Hasher;
use core::time::Duration;

use portcullis_model::{
    ActivityId, Assignment, ChallengeKind, Measure, PathForm, PlatformId, Procedure, ProcedureId,
    Reason, Record, Time, TokenBudget, TokenState, WallTime,
};

use crate::policy::Policy;
use crate::request::{Request, RequestFeatures};
use crate::table::{Bucket, RequestWeight, Tables, TakeResult};
use crate::token::{self, Token, TokenBinding, TokenKind};

/// After this time a slot for one more upgraded connection may be free.
const TUNNEL_RETRY_SECONDS: u32 = 10;

/// The gate's decision on one request, with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The record for the watch; its reason implies the verdict.
    pub record: Record,
    /// The action that the edge carries out.
    pub answer: Disposition,
}

/// The action that the edge carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Send the request to the origin.
    Forward {
        /// The platform and the activity that it belongs to.
        assigned: Assignment,
        /// Take the gate's parameter out of the query first ([`strip_token_param`](crate::strip_token_param)).
        strip_pass: bool,
        /// Add this `Set-Cookie` to the response.
        cookie: Option<String>,
        /// The visitor's recent load. When the origin is full, visitors with the least load are served
        /// first.
        load: Duration,
    },
    /// Answer 307, so that the method and body survive, never to be cached.
    Redirect {
        /// The `Location`, on the same host.
        location: String,
        /// A `Set-Cookie`.
        cookie: Option<String>,
    },
    /// Answer with the wait page, which continues automatically.
    WaitPage {
        /// After how many seconds.
        seconds: u32,
        /// Where to, on the same host.
        continue_to: String,
    },
    /// Answer with the error page of the record's reason.
    Refuse {
        /// After how many seconds it makes sense to try again, if it does.
        retry_after: Option<u32>,
    },
}

/// The procedures that apply to one request, apart from signatures.
#[derive(Default)]
struct ActiveProcedures<'a> {
    signature: Option<&'a Procedure>,
    shed: Option<&'a Procedure>,
    tightened: Option<(&'a Procedure, Bucket)>,
    challenge: Option<(&'a Procedure, ChallengeKind)>,
}

impl<'a> ActiveProcedures<'a> {
    fn by_source_or_token(&self) -> Option<&'a Procedure> {
        self.challenge.map(|(p, _)| p).or(self.tightened.map(|(p, _)| p))
    }
}

/// The tokens that a request presented.
struct PresentedToken {
    state: TokenState,
    /// The budget and level of a token that verifies.
    token: Option<Token>,
    /// It came in the query, where it must not reach the origin.
    in_query: bool,
    /// It came in the cookie.
    in_cookie: bool,
    /// A wait challenge was waited out: this is the number its token will have.
    waited: Option<u64>,
    /// The visitor's recent load.
    load: Duration,
}

/// Decides about one request that [`screen`](crate::screen) has passed.
pub fn decide(
    policy: &Policy,
    tables: &Tables,
    request: &Request<'_>,
    now: Time,
    wall: WallTime,
) -> Decision {
    let Some(platform) = policy.platform_of(request.host) else {
        return refuse_unassigned(policy, request, now, Reason::UnknownHost);
    };
    let Some((path, activity)) = path_and_activity(policy, platform, request) else {
        return refuse_unassigned(policy, request, now, Reason::AmbiguousPath);
    };
    let assigned = Assignment { platform, activity };
    let look = RequestFeatures::of(request, path.as_str(), policy.secret());
    let visit = RequestContext { policy, tables, request, look, assigned, now, wall };
    visit.decide()
}

/// The path in its form, and the activity that it belongs to. `None` if it can be read in two ways.
fn path_and_activity<'a>(
    policy: &Policy,
    platform: PlatformId,
    request: &Request<'a>,
) -> Option<(PathForm<'a>, ActivityId)> {
    let path = PathForm::of(request.path, policy.platform(platform).path_rules).ok()?;
    let activity_of = |path| policy.activity_of(platform, request.method, path);
    let activity = activity_of(path.as_str());
    // Origins that cut off parameters must not find another activity behind them.
    let same = path.without_parameters().is_none_or(|path| activity_of(path) == activity);
    same.then_some((path, activity))
}

fn refuse_unassigned(
    policy: &Policy,
    request: &Request<'_>,
    now: Time,
    reason: Reason,
) -> Decision {
    let look = RequestFeatures::of(request, request.path, policy.secret());
    Decision {
        record: Record {
            at: now,
            source: request.source,
            features: look.features,
            query: look.query,
            assigned: None,
            reason,
            page: look.wants_page,
            asset: look.asset,
            partial: look.partial,
            token: TokenState::Absent,
            procedure: None,
        },
        answer: Disposition::Refuse { retry_after: None },
    }
}

/// One request with everything that is known about it.
struct RequestContext<'a> {
    policy: &'a Policy,
    tables: &'a Tables,
    request: &'a Request<'a>,
    look: RequestFeatures<'a>,
    assigned: Assignment,
    now: Time,
    wall: WallTime,
}

impl RequestContext<'_> {
    fn decide(&self) -> Decision {
        if let Some(reason) = self.excess() {
            return self.refuse(reason, TokenState::Absent, None, None);
        }
        let engaged = self.engaged();
        if let Some(procedure) = engaged.shed {
            return self.refuse(Reason::Shed, TokenState::Absent, Some(procedure.id), Some(30));
        }
        if !self.may_be_challenged() {
            return self.exempt(&engaged);
        }
        let guarded = engaged.signature.or(engaged.by_source_or_token()).is_some();
        let mut shown = if guarded || self.look.pass.is_some() {
            self.shown()
        } else {
            PresentedToken::NOTHING
        };
        if let Some(token) = shown.token {
            if let Some(decision) = self.with_token(&engaged, &mut shown, token) {
                return decision;
            }
        } else {
            // A visitor with a token is not refused for the features of their browser.
            if let Some(procedure) = engaged.signature {
                return self.refuse(Reason::Signature, shown.state, Some(procedure.id), None);
            }
            if let Some(decision) = self.over_the_sources_rate(&engaged, &mut shown) {
                return decision;
            }
        }
        match engaged.challenge {
            Some((procedure, kind)) => self.challenge(procedure, kind, &shown),
            None => self.forward(Reason::Allowed, &shown, None),
        }
    }

    /// The limit that the request exceeds by what it demands.
    fn excess(&self) -> Option<Reason> {
        let demands = &self.request.demands;
        if demands.body_bytes > self.policy.config().limits.max_body_bytes {
            Some(Reason::BodyTooLarge)
        } else if demands.too_many_ranges {
            Some(Reason::TooManyRanges)
        } else {
            None
        }
    }

    /// Programs that cannot follow a redirect, named by configuration, and the preflights of
    /// browsers: bound by the ordinary rate of their address and by nothing else.
    fn exempt(&self, engaged: &ActiveProcedures<'_>) -> Decision {
        let procedure = engaged.signature.or(engaged.by_source_or_token()).map(|p| p.id);
        let source = self.request.source;
        let TakeResult::Granted { load, .. } =
            self.tables.take_source(source, self.ordinary_bucket(), self.now)
        else {
            return self.refuse(Reason::SourceRate, TokenState::Absent, None, Some(5));
        };
        let reason = if procedure.is_some() { Reason::Exempt } else { Reason::Allowed };
        self.forward(reason, &PresentedToken { load, ..PresentedToken::NOTHING }, procedure)
    }

    fn engaged(&self) -> ActiveProcedures<'_> {
        let mut engaged = ActiveProcedures::default();
        for procedure in self.policy.engaged(self.assigned, self.now) {
            match &procedure.measure {
                Measure::RefuseSignature(signature) => {
                    if signature.matches(&self.look.features) {
                        engaged.signature = engaged.signature.or(Some(procedure));
                    }
                }
                Measure::Shed(tier) => {
                    if self.policy.activity(self.assigned.activity).tier <= *tier {
                        engaged.shed = Some(procedure);
                    }
                }
                Measure::TightenSources { limits, .. } => {
                    let bucket =
                        Bucket { per_second: limits.requests_per_second, burst: limits.burst };
                    engaged.tightened = Some((procedure, bucket));
                }
                Measure::Challenge(kind) => engaged.challenge = Some((procedure, *kind)),
            }
        }
        engaged
    }

    fn budget(&self) -> TokenBudget {
        self.policy.config().posture.token
    }

    fn bearer(&self) -> TokenBinding {
        let user_agent = self.look.features.get(portcullis_model::Feature::UserAgent);
        TokenBinding::of(self.request.source, user_agent)
    }

    /// Verifies the tokens in the cookie and in the gate's query parameter.
    fn shown(&self) -> PresentedToken {
        let query = self.look.pass.map(str::as_bytes);
        if self.look.cookies[0].is_none() && query.is_none() {
            return PresentedToken::NOTHING;
        }
        let lifetime = self.budget().lifetime.as_secs();
        let verify = |text: Option<&[u8]>| {
            Token::verify(text?, self.policy.secret(), self.bearer(), self.wall, lifetime)
        };
        let passed = |token: &Token| matches!(token.kind, TokenKind::ChallengePassed(_));
        let mut cookies = self.look.cookies.iter().flatten();
        let from_cookie = cookies.find_map(|text| verify(Some(text)).filter(passed));
        let from_query = verify(query);
        let waited = from_query
            .filter(|t| {
                let wait = self.policy.config().posture.wait_challenge_delay.as_secs();
                t.kind == TokenKind::WaitPending
                    && t.age(self.wall).is_some_and(|age| u64::from(age) >= wait)
            })
            .map(|t| t.number);
        let from_query = from_query.filter(passed);
        let best = match (from_cookie, from_query) {
            (Some(a), Some(b)) => Some(if level(&b) > level(&a) { b } else { a }),
            (a, b) => a.or(b),
        };
        PresentedToken {
            state: match best {
                // The request that a challenge sent on its way: the visitor came back.
                Some(token) if from_query == Some(token) => TokenState::JustIssued,
                Some(_) => TokenState::Valid,
                None if waited.is_some() => TokenState::Absent,
                None => TokenState::Invalid,
            },
            token: best,
            in_query: query.is_some(),
            in_cookie: from_cookie.is_some() && from_cookie == best,
            waited,
            load: Duration::ZERO,
        }
    }

    /// Applies the token's budget in place of the address's tightened rate. `None`: the challenge
    /// comes next.
    fn with_token(
        &self,
        engaged: &ActiveProcedures<'_>,
        shown: &mut PresentedToken,
        token: Token,
    ) -> Option<Decision> {
        let procedure = engaged.by_source_or_token().or(engaged.signature).map(|p| p.id);
        if procedure.is_none() {
            // A left-over from a challenge that has ended; the address's own rate applies.
            return self.over_the_sources_rate(engaged, shown);
        }
        // However many tokens an address has gathered, it gets no more than on an ordinary day.
        let bearers =
            self.tables.take_bearers(self.request.source, self.ordinary_bucket(), self.now);
        if bearers == TakeResult::Exceeded {
            return Some(self.refuse(Reason::SourceRate, TokenState::Valid, procedure, Some(5)));
        }
        let part = !self.look.wants_page && matches!(self.request.method, "GET" | "HEAD");
        let charge = if part { RequestWeight::Asset } else { RequestWeight::Page };
        match self.tables.take_token(token.number, self.token_bucket(engaged), charge, self.now) {
            TakeResult::Granted { first, load } => {
                // A challenge is passed once, however often its link is followed.
                if !first && shown.state == TokenState::JustIssued {
                    shown.state = TokenState::Valid;
                }
                shown.load = load;
                None
            }
            TakeResult::Exceeded => {
                Some(self.refuse(Reason::TokenSpent, TokenState::Valid, procedure, Some(5)))
            }
        }
    }

    /// The budget of a token. While the wait challenge is engaged (the attack passes redirects), it is
    /// half of the rate and three quarters of the burst. By default that suffices for a person with an
    /// empty cache: three pages of a hundred assets each, opened in tabs together, cost
    /// 3 × (1 + 100 / 4) = 78 of 90; after that, a page with forty new assets (11) every four
    /// seconds stays within 3 a second.
    fn token_bucket(&self, engaged: &ActiveProcedures<'_>) -> Bucket {
        let TokenBudget { requests_per_second, burst, .. } = self.budget();
        if matches!(engaged.challenge, Some((_, ChallengeKind::WaitPage))) {
            Bucket { per_second: requests_per_second.div_ceil(2), burst: burst - burst / 4 }
        } else {
            Bucket { per_second: requests_per_second, burst }
        }
    }

    fn ordinary_bucket(&self) -> Bucket {
        let limits = self.policy.config().limits.source;
        Bucket { per_second: limits.requests_per_second, burst: limits.burst }
    }

    /// Refuses, or asks, a visitor without a token whose address sends too much. `None`: it does
    /// not.
    fn over_the_sources_rate(
        &self,
        engaged: &ActiveProcedures<'_>,
        shown: &mut PresentedToken,
    ) -> Option<Decision> {
        let bucket = engaged.tightened.map_or(self.ordinary_bucket(), |(_, tightened)| tightened);
        if let TakeResult::Granted { load, .. } =
            self.tables.take_source(self.request.source, bucket, self.now)
        {
            shown.load = load;
            return None;
        }
        let Some((procedure, _)) = engaged.tightened else {
            return Some(self.refuse(Reason::SourceRate, shown.state, None, Some(5)));
        };
        // Many people may share this address. Each may earn a separate budget while the address
        // has tokens left to issue.
        if self.tables.mint(self.request.source, self.now) {
            return Some(self.redirect_with_token(
                TokenKind::ChallengePassed(ChallengeKind::Redirect),
                self.fresh_number(),
                shown,
                procedure.id,
                Reason::ChallengeIssued,
            ));
        }
        Some(self.refuse(Reason::SourceRate, shown.state, Some(procedure.id), Some(5)))
    }

    fn may_be_challenged(&self) -> bool {
        self.policy.activity(self.assigned.activity).challenge && self.request.method != "OPTIONS"
    }

    fn challenge(
        &self,
        procedure: &Procedure,
        kind: ChallengeKind,
        shown: &PresentedToken,
    ) -> Decision {
        let page = self.look.wants_page && self.request.method == "GET";
        // Only a page view gets the wait page. Assets and forms get the redirect, which every client
        // that follows redirects passes unnoticed.
        let needed = if page { kind } else { ChallengeKind::Redirect };
        if let Some(token) = shown.token.filter(|t| level(t) >= Some(needed)) {
            let clean = shown.in_query && shown.in_cookie && page;
            if clean && token.age(self.wall).is_some() {
                let location = self.location(None);
                let record = self.record(Reason::ChallengePassed, shown.state, Some(procedure.id));
                return Decision {
                    record,
                    answer: Disposition::Redirect { location, cookie: None },
                };
            }
            return self.forward(Reason::TokenHeld, shown, Some(procedure.id));
        }
        if let Some(number) = shown.waited {
            return self.redirect_with_token(
                TokenKind::ChallengePassed(ChallengeKind::WaitPage),
                number,
                shown,
                procedure.id,
                Reason::ChallengePassed,
            );
        }
        match needed {
            ChallengeKind::Redirect => self.redirect_with_token(
                TokenKind::ChallengePassed(ChallengeKind::Redirect),
                self.number(),
                shown,
                procedure.id,
                Reason::ChallengeIssued,
            ),
            ChallengeKind::WaitPage => self.wait_page(procedure.id, shown),
        }
    }

    fn wait_page(&self, procedure: ProcedureId, shown: &PresentedToken) -> Decision {
        let ticket = Token::issue(TokenKind::WaitPending, self.number(), self.wall)
            .text(self.policy.secret(), self.bearer());
        // One second more than the check demands: tokens count in whole seconds.
        let seconds = self.policy.config().posture.wait_challenge_delay.as_secs() as u32 + 1;
        Decision {
            record: self.record(Reason::ChallengeIssued, shown.state, Some(procedure)),
            answer: Disposition::WaitPage { seconds, continue_to: self.location(Some(&ticket)) },
        }
    }

    fn redirect_with_token(
        &self,
        kind: TokenKind,
        number: u64,
        shown: &PresentedToken,
        procedure: ProcedureId,
        reason: Reason,
    ) -> Decision {
        let text = Token::issue(kind, number, self.wall).text(self.policy.secret(), self.bearer());
        let answer = Disposition::Redirect {
            location: self.location(Some(&text)),
            cookie: Some(self.set_cookie(&text)),
        };
        Decision { record: self.record(reason, shown.state, Some(procedure)), answer }
    }

    fn forward(
        &self,
        reason: Reason,
        shown: &PresentedToken,
        procedure: Option<ProcedureId>,
    ) -> Decision {
        let slots = self.request.demands.tunnel;
        if slots.is_some_and(|slots| !slots.take(self.assigned)) {
            return self.refuse(Reason::TunnelLimit, shown.state, None, Some(TUNNEL_RETRY_SECONDS));
        }
        // A visitor who came by the query keeps the token as a cookie from now on.
        let cookie = match shown.token {
            Some(token) if shown.in_query && !shown.in_cookie => {
                Some(self.set_cookie(&token.text(self.policy.secret(), self.bearer())))
            }
            _ => None,
        };
        Decision {
            record: self.record(reason, shown.state, procedure),
            answer: Disposition::Forward {
                assigned: self.assigned,
                strip_pass: self.look.pass.is_some(),
                cookie,
                load: shown.load,
            },
        }
    }

    fn refuse(
        &self,
        reason: Reason,
        token: TokenState,
        procedure: Option<ProcedureId>,
        retry_after: Option<u32>,
    ) -> Decision {
        Decision {
            record: self.record(reason, token, procedure),
            answer: Disposition::Refuse { retry_after },
        }
    }

    fn record(&self, reason: Reason, token: TokenState, procedure: Option<ProcedureId>) -> Record {
        Record {
            at: self.now,
            source: self.request.source,
            features: self.look.features,
            query: self.look.query,
            assigned: Some(self.assigned),
            reason,
            page: self.look.wants_page,
            asset: self.look.asset,
            partial: self.look.partial,
            token,
            procedure,
        }
    }

    /// The number of a new token. An address that has received many gets one number for all its
    /// visitors with one user agent, by the hour: none is refused, but they share a budget.
    fn number(&self) -> u64 {
        if self.tables.mint(self.request.source, self.now) {
            return self.fresh_number();
        }
        let mut hasher = self.policy.secret().feature_hasher();
        hasher.write_u64(self.request.source.bits());
        hasher.write_u64(self.wall.seconds() / 3_600);
        hasher.write_u32(self.bearer().user_agent);
        hasher.finish()
    }

    /// An unpredictable number: a keyed hash of source, request and time.
    fn fresh_number(&self) -> u64 {
        let mut hasher = self.policy.secret().feature_hasher();
        hasher.write_u64(self.request.source.bits());
        hasher.write_u64(self.now.nanos());
        hasher.write_u32(self.look.features.get(portcullis_model::Feature::Path));
        hasher.finish()
    }

    /// The address of this request on the same host, with `pass` as the gate's parameter.
    fn location(&self, pass: Option<&str>) -> String {
        let path = self.request.path;
        let rest = self.request.query.and_then(token::strip_token_param);
        let mut location = String::with_capacity(path.len() + 128);
        if path.starts_with("//") || path.starts_with("/\\") {
            // `//name` (and to browsers `/\name`) would lead to another host; `/.//name` is the
            // same path on this one.
            location.push_str("/.");
        }
        location.push_str(path);
        let mut separator = '?';
        if let Some(rest) = rest {
            location.push('?');
            location.push_str(&rest);
            separator = '&';
        }
        if let Some(pass) = pass {
            location.push(separator);
            location.push_str(token::TOKEN_PARAM);
            location.push('=');
            location.push_str(pass);
        }
        location
    }

    fn set_cookie(&self, token: &str) -> String {
        let lifetime = self.budget().lifetime.as_secs();
        let secure = if self.request.secure { "; Secure" } else { "" };
        format!(
            "{}={token}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}",
            token::COOKIE
        )
    }
}

impl PresentedToken {
    const NOTHING: Self = Self {
        state: TokenState::Absent,
        token: None,
        in_query: false,
        in_cookie: false,
        waited: None,
        load: Duration::ZERO,
    };
}

/// What a token proves; `None` for one that is still waiting.
const fn level(token: &Token) -> Option<ChallengeKind> {
    match token.kind {
        TokenKind::ChallengePassed(kind) => Some(kind),
        TokenKind::WaitPending => None,
    }
}
