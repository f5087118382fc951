//! The Prometheus text format: headers and label values.

use std::fmt::Write;

/// Writes the `HELP` and `TYPE` lines of a metric.
pub fn write_metric_header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}");
}

/// Escapes a label value.
pub fn escape_label(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
