//! What a reload may change.

use portcullis_model::{Config, Ids};

use crate::config_file::{smallest_origin, worker_count};
use crate::error::RuntimeError;

/// Checks that a running gate can use `new`: what it changes needs no restart.
///
/// `ids` belong to `running`; there are counters for `activity_capacity` activities.
pub fn check_reloadable(
    running: &Config,
    new: &Config,
    ids: &Ids,
    activity_capacity: usize,
) -> Result<(), RuntimeError> {
    let sockets = |config: &Config| {
        let kinds = config.listeners.iter();
        kinds.map(|l| (l.address, l.tls.is_some(), l.proxy_protocol, l.http_3)).collect::<Vec<_>>()
    };
    if sockets(new) != sockets(running) || new.workers != running.workers {
        return needs_restart("changing listeners or workers needs a restart");
    }
    let workers = worker_count(running);
    if smallest_origin(new).is_some_and(|most| most < u32::from(workers)) {
        let text = format!(
            "an origin with fewer connections than the {workers} workers that run needs a restart: each \
             worker has at least one"
        );
        return needs_restart(&text);
    }
    let activities = ids.reloaded(new).activity_count();
    if activities > activity_capacity {
        let text = format!(
            "{activities} names of activities since the start, removed ones included, exceed the \
             {activity_capacity} that this process has counters for: restart to apply"
        );
        return needs_restart(&text);
    }
    if new.acme.is_some() != running.acme.is_some() {
        return needs_restart("adding or removing [acme] needs a restart");
    }
    Ok(())
}

fn needs_restart(text: &str) -> Result<(), RuntimeError> {
    Err(RuntimeError::NeedsRestart(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use portcullis_model::OriginConfig;

    use super::*;

    #[test]
    fn sockets_workers_and_too_many_activities_need_a_restart() {
        let config = |port| {
            let origin = OriginConfig::new("127.0.0.1".into(), 80);
            Config::for_origin(([127, 0, 0, 1], port).into(), origin)
        };
        let refusal = |new: &Config, capacity| {
            let running = config(8080);
            check_reloadable(&running, new, &Ids::new(&running), capacity)
                .map_err(|error| error.to_string())
        };
        let mut same = config(8080);
        same.platforms[0].name = "renamed".into();
        assert_eq!(refusal(&same, 8), Ok(()));
        assert!(refusal(&config(8081), 8).unwrap_err().contains("listeners"));
        let mut more_workers = config(8080);
        more_workers.workers = Some(7);
        assert!(refusal(&more_workers, 8).unwrap_err().contains("workers"));
        let mut small = config(8080);
        small.platforms[0].origin.max_connections = 1;
        let refused = refusal(&small, 8);
        // A machine with one core has one worker.
        assert_eq!(refused.is_err(), worker_count(&config(8080)) > 1, "{refused:?}");
        assert_eq!(worker_count(&small), 1);
        assert!(refusal(&same, 1).unwrap_err().contains("2 names of activities"));
    }
}
