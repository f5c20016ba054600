//! The hash of a plan: two plans with the same hash make the same changes in the same order.

use sha2::{Digest, Sha256};

use super::Plan;

impl Plan {
    /// First 12 hexadecimal digits of the SHA-256 of the changes as JSON; warnings do not count.
    pub(crate) fn hash(&self) -> String {
        let json = serde_json::to_vec(&self.changes).expect("a change holds only strings and enums");
        let digest = Sha256::digest(&json);
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Plan, Target};

    fn plan(subject: &str) -> Plan {
        Plan { changes: vec![Change::create("files", &Target::Cluster, subject)], warnings: Vec::new() }
    }

    #[test]
    fn hash_follows_the_changes_and_ignores_warnings() {
        let mut warned = plan("a");
        warned.warnings.push("careful".to_owned());
        assert_eq!(plan("a").hash(), warned.hash());
        assert_ne!(plan("a").hash(), plan("b").hash());
    }
}
