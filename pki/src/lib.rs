//! Certificate authority, leaf certificates, and PEM, PKCS12 and JKS stores written and read without Java.
//!
//! Start at [`Authority`] to make certificates, at [`CertificateFacts`] to decide whether one is still good
//! enough, and at [`StoreKind`] to put certificates into the files that JVMs, librdkafka and rustls read.
//!
//! Nothing here touches files, the network or the clock: bytes and times come in, bytes come out. Nothing
//! here decides whom to trust either; chains are put in order, not validated, which is the work of a TLS library.

mod authority;
mod facts;
mod identity;
mod key;
mod pem;
mod san;
mod store;

pub use authority::{Authority, AuthorityError, AuthoritySpec, KeyUsage, LeafSpec, Validity};
pub use facts::{CertificateError, CertificateFacts, Fingerprint, KeyAlgorithm, inspect, same_certificates};
pub use identity::{Identity, IdentityError};
pub use key::{KeyError, private_key_from_pem};
pub use pem::{PemError, certificates_from_pem, certificates_to_pem};
pub use san::{San, SanError};
pub use store::{
    StoreError, StoreKind, StoreKindError, Truststore, read_keystore, read_truststore, write_keystore,
    write_truststore,
};
