//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises this process's limit of open files to the hard limit, and warns if that is still less
/// than `limits.max_connections` may need.
pub fn raise_nofile_limit(needed: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let allowed = if raised.is_ok() { maximum } else { current };
    if let Some(allowed) = allowed.filter(|&allowed| allowed < needed) {
        warn!(
            allowed,
            needed,
            "the open file limit is lower than limits.max_connections may need: raise LimitNOFILE \
             in the service unit (see `portcullis doctor`)"
        );
    }
}
