//! Latencies in buckets: fixed memory however many there are, error under 7 %.
use std::time::Duration;

/// Buckets of each power of two.
const STEPS: usize = 16;
/// Powers of two: up to 2^36 µs, nineteen hours.
const OCTAVES: usize = 36;

/// A histogram of durations in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: vec![0; STEPS * OCTAVES], count: 0, max_us: 0 }
    }
}

fn bucket(us: u64) -> usize {
    if us < STEPS as u64 {
        return us as usize;
    }
    let octave = us.ilog2() as usize;
    let step = (us >> (octave - 4)) as usize & (STEPS - 1);
    ((octave - 3) * STEPS + step).min(STEPS * OCTAVES - 1)
}

fn lower_bound(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let (octave, step) = (bucket / STEPS + 3, (bucket % STEPS) as u64);
    (STEPS as u64 + step) << (octave - 4)
}

impl Histogram {
    pub(crate) fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.buckets.get_mut(bucket(us)) {
            *count += 1;
        }
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that `share` of the samples do not exceed, in milliseconds; 0 without samples.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return (lower_bound(index + 1).saturating_sub(1)).min(self.max_us) as f64 / 1000.0;
            }
        }
        0.0
    }

    /// `p50 1.2 ms, p99 3.4 ms, max 5.6 ms`, or "none".
    pub(crate) fn summary(&self) -> String {
        if self.count == 0 {
            return "none".to_owned();
        }
        format!(
            "p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            self.quantile_ms(0.5),
            self.quantile_ms(0.9),
            self.quantile_ms(0.99),
            self.max_us as f64 / 1000.0
        )
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "count": self.count,
            "p50_ms": self.quantile_ms(0.5),
            "p90_ms": self.quantile_ms(0.9),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.max_us as f64 / 1000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for us in (0..5000).chain((13..36).map(|power| 3 << power)) {
            let at = bucket(us);
            assert!(at >= last, "{us}");
            last = at;
            let (low, high) = (lower_bound(at), lower_bound(at + 1));
            assert!(low <= us && us < high, "{us}: {low}..{high}");
            assert!(high - low <= 1 + low / 15, "{us}");
        }
        assert_eq!(bucket(u64::MAX), STEPS * OCTAVES - 1);
    }

    #[test]
    fn quantiles_are_near_the_truth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.summary(), "none");
        for us in 1..=1000 {
            histogram.add(Duration::from_micros(us));
        }
        for (share, truth) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99), (1.0, 1.0)] {
            let found = histogram.quantile_ms(share);
            assert!((found - truth).abs() <= truth * 0.07, "{share}: {found}");
        }
        assert_eq!(histogram.count(), 1000);
    }
}
