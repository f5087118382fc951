//! Metric families: name, type, help and label names, each written once and checked by the compiler.

use core::fmt::{self, Write};
use core::marker::PhantomData;
use core::time::Duration;

use portcullis_model::LatencyHistogram;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelValue, LabelValueEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;

/// Latency buckets of the model in one bucket of the output: a factor of four.
const BUCKETS_PER_STEP: usize = 8;

/// The type of a family: how one value is written.
pub(crate) trait FamilyKind {
    /// One value.
    type Value;
    /// The type in the `TYPE` line.
    const TYPE: MetricType;
    /// Writes one value.
    fn encode(encoder: MetricEncoder<'_>, value: Self::Value) -> fmt::Result;
}

/// A count that only grows; its name gets the suffix `_total`.
pub(crate) enum CounterKind {}

impl FamilyKind for CounterKind {
    type Value = u64;
    const TYPE: MetricType = MetricType::Counter;

    fn encode(mut encoder: MetricEncoder<'_>, value: u64) -> fmt::Result {
        encoder.encode_counter::<[(&str, &str); 0], _, f64>(&value, None)
    }
}

/// A value that rises and falls.
pub(crate) enum GaugeKind {}

impl FamilyKind for GaugeKind {
    type Value = u64;
    const TYPE: MetricType = MetricType::Gauge;

    fn encode(mut encoder: MetricEncoder<'_>, value: u64) -> fmt::Result {
        // prometheus-client writes gauges as signed numbers.
        encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// Latencies and their sum.
pub(crate) enum LatencyKind {}

impl FamilyKind for LatencyKind {
    type Value = (LatencyHistogram, Duration);
    const TYPE: MetricType = MetricType::Histogram;

    fn encode(mut encoder: MetricEncoder<'_>, value: Self::Value) -> fmt::Result {
        let (latencies, sum) = value;
        let mut buckets: Vec<(f64, u64)> = latencies
            .0
            .chunks_exact(BUCKETS_PER_STEP)
            .enumerate()
            .map(|(step, counts)| {
                let last = step * BUCKETS_PER_STEP + BUCKETS_PER_STEP - 1;
                (LatencyHistogram::upper(last).as_secs_f64(), counts.iter().sum())
            })
            .collect();
        let rest = latencies.0.chunks_exact(BUCKETS_PER_STEP).remainder().iter().sum();
        // prometheus-client writes this bound as `+Inf`.
        buckets.push((f64::MAX, rest));
        let count = latencies.0.iter().sum();
        encoder.encode_histogram::<[(&str, &str); 0]>(sum.as_secs_f64(), count, &buckets, None)
    }
}

/// A family of metrics with `N` labels.
pub(crate) struct Family<K, const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    kind: PhantomData<K>,
}

impl<K: FamilyKind, const N: usize> Family<K, N> {
    /// A family; `name` is without the prefix `portcullis_` and without `_total`.
    pub(crate) const fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Self { name, help, labels, kind: PhantomData }
    }

    /// Writes the `HELP` and `TYPE` lines, and the samples that `write` gives.
    pub(crate) fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        write: impl FnOnce(&mut SampleWriter<'_, K, N>) -> fmt::Result,
    ) -> fmt::Result {
        let encoder = encoder.encode_descriptor(self.name, self.help, None, K::TYPE)?;
        write(&mut SampleWriter { encoder, labels: self.labels, kind: PhantomData })
    }
}

impl<K: FamilyKind> Family<K, 0> {
    /// Writes the family with one value.
    pub(crate) fn encode_one(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        value: K::Value,
    ) -> fmt::Result {
        K::encode(encoder.encode_descriptor(self.name, self.help, None, K::TYPE)?, value)
    }
}

/// A label value; prometheus-client writes values without escaping.
#[derive(Clone, Copy, Debug)]
struct EscapedValue<'a>(&'a str);

impl EncodeLabelValue for EscapedValue<'_> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['\\', '"', '\n']) {
            let plain = part.trim_end_matches(['\\', '"', '\n']);
            encoder.write_str(plain)?;
            match &part[plain.len()..] {
                "\\" => encoder.write_str("\\\\")?,
                "\"" => encoder.write_str("\\\"")?,
                "\n" => encoder.write_str("\\n")?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes the samples of one family.
pub(crate) struct SampleWriter<'a, K, const N: usize> {
    encoder: MetricEncoder<'a>,
    labels: [&'static str; N],
    kind: PhantomData<K>,
}

impl<K: FamilyKind, const N: usize> SampleWriter<'_, K, N> {
    /// Writes one sample; `values` are those of the family's labels, in their order.
    pub(crate) fn sample(&mut self, values: [&str; N], value: K::Value) -> fmt::Result {
        let mut labels = [("", EscapedValue("")); N];
        for (label, pair) in labels.iter_mut().zip(self.labels.iter().zip(values)) {
            *label = (*pair.0, EscapedValue(pair.1));
        }
        K::encode(self.encoder.encode_family(&labels)?, value)
    }
}
