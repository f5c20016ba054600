//! Free ports of the loopback interface, reserved between test beds that run side by side.
//!
//! Binding port 0 and closing it again gives a port that anyone may be given next. So ports come from below the
//! kernel's own range, and each is held by a lock file for as long as the [`Port`] lives.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

use crate::{Error, paths};

/// Below 32768, where the kernel's range for outgoing connections begins.
const RANGE: std::ops::Range<u16> = 18_000..32_000;

/// A port that nobody listens on and no other test bed will choose.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reserved: File,
}

impl Port {
    /// Reserves a free port.
    ///
    /// Errors: [`Error::Exhausted`] when 500 attempts found none.
    pub fn reserve() -> Result<Self, Error> {
        let dir = paths::private_dir(paths::run()?.join("ports"))?;
        for _ in 0..500 {
            let number = rand::rng().random_range(RANGE);
            let file = paths::open_lock(&dir.join(number.to_string()))?;
            if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok() {
                return Ok(Self { number, _reserved: file });
            }
        }
        Err(Error::Exhausted { what: "port" })
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_differ_and_can_be_bound() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        TcpListener::bind((Ipv4Addr::LOCALHOST, numbers[0])).unwrap();
    }
}
