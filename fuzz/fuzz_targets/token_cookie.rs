//! The gate's token in cookies and in the query: no bytes make the gate panic or are taken for a
//! token that it did not issue. `@` in the input is replaced by one that it did.
#![no_main]

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use portcullis_gate::{
    Decision, Demands, Disposition, Fields, Policy, Request, Secret, TOKEN_PARAM, Tables, decide,
    strip_token_param,
};
use portcullis_model::{
    ChallengeKind, Config, Measure, OriginConfig, PlatformId, Procedure, ProcedureId, Scope,
    SourceKey, Time, TokenState, WallTime,
};

const WALL: WallTime = WallTime(1_800_000_000_000);

struct CookieField<'a>(&'a [u8]);

impl Fields for CookieField<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        visit("accept", b"text/html");
        visit("cookie", self.0);
    }
}

/// A gate that challenges every visitor, and has not seen one yet.
fn gate() -> (Policy, Tables) {
    let secret = Secret::new(&[9; 32]);
    let listen = "127.0.0.1:8080".parse().expect("an address");
    let config = Config::for_origin(listen, OriginConfig::new("127.0.0.1".into(), 3000));
    let challenge = Procedure {
        id: ProcedureId(NonZeroU32::MIN),
        scope: Scope { platform: PlatformId(0), activity: None },
        measure: Measure::Challenge(ChallengeKind::Redirect),
        reason: "a fuzz target".into(),
        engaged: WALL,
        expires: Time::from_secs(600),
    };
    let policy = Policy::new(Arc::new(config), secret.clone()).with_procedures(&[challenge]);
    (policy, Tables::new(64, secret))
}

fn decide_about(policy: &Policy, tables: &Tables, cookie: &[u8], query: Option<&str>) -> Decision {
    let request = Request {
        source: SourceKey::of([192, 0, 2, 1].into()),
        host: "example.org",
        method: "GET",
        path: "/",
        query,
        secure: true,
        tls_client: None,
        fields: &CookieField(cookie),
        demands: Demands::default(),
    };
    decide(policy, tables, &request, Time::from_secs(1), WALL)
}

/// A token of this gate, as it is in a cookie's value.
fn genuine() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let (policy, tables) = gate();
        let Disposition::Redirect { cookie: Some(cookie), .. } =
            decide_about(&policy, &tables, b"", None).answer
        else {
            panic!("the first request is challenged");
        };
        let (_, value) = cookie.split_once('=').expect("a name");
        value.split(';').next().expect("a value").to_owned()
    })
}

fuzz_target!(|text: &str| {
    // The cookie field, then the query.
    let input = text.split_once('\n').unwrap_or((text, ""));
    let (policy, tables) = gate();
    let [cookie, query] = [input.0, input.1].map(|text| text.replace('@', genuine()));
    let decision = decide_about(&policy, &tables, cookie.as_bytes(), Some(&query));
    let issued = text.contains('@');
    assert!(issued || !matches!(decision.record.token, TokenState::Valid | TokenState::JustIssued));
    if let Some(rest) = strip_token_param(&query) {
        assert!(rest.split('&').all(|pair| pair.split('=').next() != Some(TOKEN_PARAM)));
        assert_eq!(strip_token_param(&rest).as_deref(), Some(rest.as_str()));
    }
});
