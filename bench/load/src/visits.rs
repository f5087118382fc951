//! Visits of one request each: a new connection, the request, its answer, and the end.

use crate::connect::BenchResult;
use crate::held::{ClientProtocol, fetch_page, open};
use crate::parallel::in_parallel;
use crate::tls;

/// Makes `count` visits, each over a new connection.
pub(crate) fn run(port: u16, count: usize, kind: ClientProtocol) -> BenchResult<()> {
    let config = kind.alpn().map(|protocol| tls::config(protocol, false)).transpose()?;
    let seconds = in_parallel(count, |number| {
        let mut conn = open(port, number, config.as_ref())?;
        fetch_page(&mut conn, kind)
    })?;
    println!("{{\"visits\":{count},\"seconds\":{seconds:.4}}}");
    Ok(())
}
