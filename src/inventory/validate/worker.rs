//! What can differ between workers: ports, limits, properties. Stands under `connect`, and again under each host.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::{Validator, count, default_port, port};
use crate::inventory::model::{AbsolutePath, Address, Bind, ByteSize, Cpus, Listener, Port, Worker};
use crate::inventory::owned;
use crate::inventory::problem::Path;
use crate::inventory::raw;

const REST_PORT: u16 = 8083;
const METRICS_PORT: u16 = 8079;
const MEMORY: ByteSize = ByteSize(512 << 20);
/// Below this a worker with one TLS client per connector does not start.
const LEAST_MEMORY: ByteSize = ByteSize(64 << 20);
/// librdkafka has some threads per broker and client.
const PIDS: u32 = 1024;

/// One section; what it does not say comes from the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerPart {
    rest: ListenerPart,
    metrics: ListenerPart,
    advertised_name: Option<Address>,
    memory: Option<ByteSize>,
    cpus: Option<Cpus>,
    pids: Option<NonZeroU32>,
    directory: Option<AbsolutePath>,
    properties: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ListenerPart {
    port: Option<Port>,
    bind: Option<Bind>,
}

impl ListenerPart {
    fn or(self, shared: Self, default_port: Port, default_bind: Bind) -> Listener {
        Listener {
            port: self.port.or(shared.port).unwrap_or(default_port),
            bind: self.bind.or(shared.bind).unwrap_or(default_bind),
        }
    }
}

impl WorkerPart {
    pub(super) fn or(self, shared: &Self, default_bind: Bind) -> Worker {
        let shared = shared.clone();
        let mut properties = shared.properties;
        properties.extend(self.properties);
        Worker {
            rest: self.rest.or(shared.rest, default_port(REST_PORT), default_bind),
            metrics: self.metrics.or(shared.metrics, default_port(METRICS_PORT), default_bind),
            advertised_name: self.advertised_name,
            memory: self.memory.or(shared.memory).unwrap_or(MEMORY),
            cpus: self.cpus.or(shared.cpus),
            pids: self.pids.or(shared.pids).unwrap_or(NonZeroU32::new(PIDS).expect("not 0")),
            directory: self.directory.or(shared.directory),
            properties,
        }
    }
}

impl Validator<'_, '_> {
    /// The part of `connect` that hosts can override.
    pub(super) fn shared_worker(&mut self, raw: Option<&raw::Connect>, path: &Path) -> WorkerPart {
        let Some(raw) = raw else { return WorkerPart::default() };
        WorkerPart {
            rest: listener(raw.rest.as_ref()),
            metrics: listener(raw.metrics.as_ref()),
            advertised_name: None,
            memory: self.memory(raw.memory.as_ref(), &path.key("memory")),
            cpus: self.cpus(raw.cpus.as_ref(), &path.key("cpus")),
            pids: count(raw.pids),
            directory: self.name(raw.directory.as_deref(), &path.key("directory")),
            properties: self.properties(raw.properties.as_ref(), &path.key("properties")),
        }
    }

    pub(super) fn host_worker(&mut self, raw: Option<&raw::HostConnect>, path: &Path) -> WorkerPart {
        let Some(raw) = raw else { return WorkerPart::default() };
        WorkerPart {
            rest: listener(raw.rest.as_ref()),
            metrics: listener(raw.metrics.as_ref()),
            advertised_name: self.name(raw.advertised_name.as_deref(), &path.key("advertised_name")),
            memory: self.memory(raw.memory.as_ref(), &path.key("memory")),
            cpus: self.cpus(raw.cpus.as_ref(), &path.key("cpus")),
            pids: count(raw.pids),
            directory: self.name(raw.directory.as_deref(), &path.key("directory")),
            properties: self.properties(raw.properties.as_ref(), &path.key("properties")),
        }
    }

    fn memory(&mut self, raw: Option<&raw::Text>, path: &Path) -> Option<ByteSize> {
        let text = raw?.0.as_str();
        match byte_size(text) {
            Some(size) if size >= LEAST_MEMORY => Some(size),
            Some(_) => {
                let hint = "a worker with connectors needs more than its program; 512M is the default";
                self.report.problem(path, format!("expected at least 64M, found {text}"), hint);
                None
            }
            None => {
                let hint = "K, M and G are powers of 1024";
                self.report.problem(
                    path,
                    format!("expected a size such as 512M or 2G, found {text:?}"),
                    hint,
                );
                None
            }
        }
    }

    fn cpus(&mut self, raw: Option<&raw::Text>, path: &Path) -> Option<Cpus> {
        let text = raw?.0.as_str();
        let cpus = thousandths(text).map(Cpus);
        if cpus.is_none() {
            let message = format!("expected a number of processors such as 1.5, found {text:?}");
            self.report.problem(path, message, "from 0.001 to 1024, with three decimals at most");
        }
        cpus
    }

    fn properties(
        &mut self,
        raw: Option<&BTreeMap<String, raw::Text>>,
        path: &Path,
    ) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        for (key, raw::Text(value)) in raw.into_iter().flatten() {
            let here = path.key(key);
            if let Some(instead) = owned::instead_of(key) {
                self.report.problem(&here, "provision sets this property itself", instead);
            } else if !is_property_name(key) {
                self.report.problem(
                    &here,
                    "expected the name of a property",
                    "letters, digits, `.`, `_` and `-`, such as `offset.flush.interval.ms`",
                );
            } else {
                properties.insert(key.clone(), value.clone());
            }
        }
        properties
    }
}

pub(super) fn is_property_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn listener(raw: Option<&raw::Listener>) -> ListenerPart {
    let Some(raw) = raw else { return ListenerPart::default() };
    ListenerPart {
        port: raw.port.and_then(port),
        bind: raw.bind.map(|bind| match bind {
            raw::Bind::Loopback => Bind::Loopback,
            raw::Bind::Private => Bind::Private,
            raw::Bind::All => Bind::All,
        }),
    }
}

/// `512M`, `2G`, `65536K` or plain bytes; `MiB` and `MB` are taken as `M`, as Docker does.
fn byte_size(text: &str) -> Option<ByteSize> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).map(ByteSize)
}

/// A decimal number of at most three decimals, in thousandths.
fn thousandths(text: &str) -> Option<NonZeroU32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let (whole, decimals): (u32, u32) = (whole.parse().ok()?, format!("{decimals:0<3}").parse().ok()?);
    NonZeroU32::new(whole.checked_mul(1000)?.checked_add(decimals)?)
        .filter(|number| number.get() <= 1_024_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let sizes = [
            ("512M", Some(512 << 20)),
            ("2g", Some(2 << 30)),
            ("64 MiB", Some(64 << 20)),
            ("1024", Some(1024)),
        ];
        for (text, expected) in sizes.into_iter().chain([("1.5G", None), ("M", None), ("-1M", None)]) {
            assert_eq!(byte_size(text), expected.map(ByteSize), "{text}");
        }
    }

    #[test]
    fn processors_keep_three_decimals() {
        for (text, expected) in
            [("1.5", "1.5"), ("2", "2"), ("0.25", "0.25"), ("10", "10"), ("0.001", "0.001")]
        {
            assert_eq!(thousandths(text).map(|number| Cpus(number).to_string()).as_deref(), Some(expected));
        }
        for text in ["0", "", ".5", "1.", "1.2345", "-1", "1e3", "2000"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
