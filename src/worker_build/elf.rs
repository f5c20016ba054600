//! Just enough of ELF to tell a static Linux program from one that needs a loader.

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// Runs without anything else on this machine.
    Static { machine: &'static str },
    /// Needs a loader and shared libraries.
    Dynamic,
    /// No 64-bit little-endian ELF program of a machine that we know.
    Other,
}

const PT_INTERP: u32 = 3;

/// Reads the header and the program headers (System V ABI, chapter 4 and 5).
pub(super) fn inspect(bytes: &[u8]) -> Program {
    inspect_checked(bytes).unwrap_or(Program::Other)
}

fn inspect_checked(bytes: &[u8]) -> Option<Program> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    // e_machine of the two machines that images are made for.
    let machine = match half(18)? {
        62 => "x86_64",
        183 => "aarch64",
        _ => return None,
    };
    let headers = usize::try_from(long(32)?).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for index in 0..count {
        if word(headers.checked_add(index * size)?)? == PT_INTERP {
            return Some(Program::Dynamic);
        }
    }
    Some(Program::Static { machine })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, segment_types: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56 * segment_types.len()];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&(segment_types.len() as u16).to_le_bytes());
        for (index, kind) in segment_types.iter().enumerate() {
            bytes[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_loader_makes_the_difference() {
        assert_eq!(inspect(&elf(62, &[1, 2])), Program::Static { machine: "x86_64" });
        assert_eq!(inspect(&elf(62, &[1, PT_INTERP])), Program::Dynamic);
        assert_eq!(inspect(&elf(8, &[1])), Program::Other);
    }

    #[test]
    fn broken_files_are_other() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x02\x01", &elf(62, &[1, 2, 3])[..100]] {
            assert_eq!(inspect(bytes), Program::Other);
        }
    }
}
