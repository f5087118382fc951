//! The thread that asks origins whether they answer, when the control loop wants to know.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_edge::{Clock, probe_origin};
use portcullis_gate::Policy;
use portcullis_model::{OriginConfig, PlatformConfig, PlatformId};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::LocalSet;
use tracing::{info, warn};

use crate::control_loop::{ControlHandle, ProbeSender};

/// Platforms whose origins may wait to be asked.
const QUEUE: usize = 256;
/// An answer that takes longer than this is none.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A bounded queue of platforms whose origins are to be asked.
pub fn probe_channel() -> (ProbeSender, Receiver<PlatformId>) {
    channel(QUEUE)
}

/// Asks origins until the control loop ends.
pub fn run(
    mut wanted: Receiver<PlatformId>,
    policy: &ArcSwap<Policy>,
    clock: Clock,
    control: &ControlHandle,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let state = Rc::new(Probes { clock, control: control.clone(), failing: RefCell::default() });
    LocalSet::new().block_on(&runtime, async {
        while let Some(platform) = wanted.recv().await {
            let loaded = policy.load();
            let Some(place) = loaded.ids().platform_place(platform) else { continue };
            let config = loaded.config().platforms[place].clone();
            let state = Rc::clone(&state);
            tokio::task::spawn_local(async move { state.probe(platform, config).await });
        }
    });
    Ok(())
}

struct Probes {
    clock: Clock,
    control: ControlHandle,
    /// Platforms whose last probe failed.
    failing: RefCell<HashSet<PlatformId>>,
}

impl Probes {
    async fn probe(&self, platform: PlatformId, config: PlatformConfig) {
        let host = config.probe_host();
        let origin = &config.origin;
        let why = match probe_origin(origin, &host, MAX_WAIT, self.clock).await {
            Ok(status) if status < 500 => None,
            Ok(status) => Some(format!("it answered {status}")),
            Err(error) => Some(error.to_string()),
        };
        self.log(platform, &config.name, origin, why.as_deref());
        self.control.probed(platform, why.is_none());
    }

    /// Writes changes only.
    fn log(&self, platform: PlatformId, name: &str, origin: &OriginConfig, why: Option<&str>) {
        let (origin, path) = (origin.authority(), &origin.probe_path);
        match why {
            Some(error) if self.failing.borrow_mut().insert(platform) => {
                warn!(platform = name, origin, path, error, "the origin did not answer a probe");
            }
            None if self.failing.borrow_mut().remove(&platform) => {
                info!(platform = name, origin, path, "the origin answers probes again");
            }
            _ => {}
        }
    }
}
