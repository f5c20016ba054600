//! Averages, maxima and rates over a sliding window, as Kafka's sensors have them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use std::sync::atomic::{AtomicU64, Ordering};

/// `metrics.num.samples` times `metrics.sample.window.ms` at their defaults.
const SAMPLE: Duration = Duration::from_secs(30);
const SAMPLES: usize = 2;

/// Values of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Window {
    samples: Mutex<[Option<Sample>; SAMPLES]>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    began: Instant,
    sum: f64,
    count: u64,
    max: f64,
}

impl Window {
    pub(crate) fn record(&self, value: f64) {
        self.record_at(value, Instant::now());
    }

    pub(crate) fn record_time(&self, time: Duration) {
        self.record(time.as_secs_f64() * 1000.0);
    }

    /// 0 when nothing was recorded.
    pub(crate) fn average(&self) -> f64 {
        let (sum, count) = self.live(Instant::now()).fold((0.0, 0), |(s, c), x| (s + x.sum, c + x.count));
        if count == 0 { 0.0 } else { sum / count as f64 }
    }

    /// 0 when nothing was recorded.
    pub(crate) fn max(&self) -> f64 {
        self.live(Instant::now()).map(|s| s.max).fold(0.0, f64::max)
    }

    /// Sum of values per second. As in Kafka, at least all but one sample count as elapsed.
    pub(crate) fn rate(&self) -> f64 {
        self.rate_at(Instant::now())
    }

    fn record_at(&self, value: f64, now: Instant) {
        let mut samples = self.samples();
        if samples[0].is_none_or(|s| now.duration_since(s.began) >= SAMPLE) {
            samples.rotate_right(1);
            samples[0] = Some(Sample { began: now, sum: 0.0, count: 0, max: f64::MIN });
        }
        if let Some(sample) = &mut samples[0] {
            sample.sum += value;
            sample.count += 1;
            sample.max = sample.max.max(value);
        }
    }

    fn rate_at(&self, now: Instant) -> f64 {
        let (mut sum, mut began) = (0.0, now);
        for sample in self.live(now) {
            sum += sample.sum;
            began = began.min(sample.began);
        }
        let least = SAMPLE * (SAMPLES as u32 - 1);
        sum / now.duration_since(began).max(least).as_secs_f64()
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = Sample> + use<> {
        let samples = *self.samples();
        let limit = SAMPLE * SAMPLES as u32;
        samples.into_iter().flatten().filter(move |s| now.duration_since(s.began) < limit)
    }

    /// Only ever locked for a look or a change, never while waiting.
    fn samples(&self) -> MutexGuard<'_, [Option<Sample>; SAMPLES]> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A total and its rate.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    total: AtomicU64,
    window: Window,
}

impl Meter {
    pub(crate) fn add(&self, count: u64) {
        self.total.fetch_add(count, Ordering::Relaxed);
        self.window.record(count as f64);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn rate(&self) -> f64 {
        self.window.rate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_leave_the_window() {
        let window = Window::default();
        let start = Instant::now();
        window.record_at(30.0, start);
        window.record_at(90.0, start + Duration::from_secs(31));
        assert_eq!(window.rate_at(start + Duration::from_secs(40)), 3.0);
        assert_eq!(window.rate_at(start + Duration::from_secs(61)), 3.0);
        assert_eq!(window.rate_at(start + Duration::from_secs(100)), 0.0);
    }

    #[test]
    fn averages_and_maxima() {
        let window = Window::default();
        assert_eq!((window.average(), window.max()), (0.0, 0.0));
        window.record(1.0);
        window.record(3.0);
        assert_eq!((window.average(), window.max()), (2.0, 3.0));
    }
}
