//! Visits of one request each: a new connection, the request, its answer, and the end.

use crate::held::{Kind, ask, open};
use crate::{Outcome, in_parallel, tls};

/// Makes `count` visits, each over a connection of its own.
pub(crate) fn run(port: u16, count: usize, kind: Kind) -> Outcome<()> {
    let config = kind.protocol().map(|protocol| tls::config(protocol, false)).transpose()?;
    let seconds = in_parallel(count, |number| {
        let mut wire = open(port, number, config.as_ref())?;
        ask(&mut wire, kind)
    })?;
    println!("{{\"visits\":{count},\"seconds\":{seconds:.4}}}");
    Ok(())
}
