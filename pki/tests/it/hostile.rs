//! Bytes from strangers: whatever they are, reading ends in a value or an error, soon and without a panic.

use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine};
use pki::{
    KeyError, StoreKind, private_key_from_pem, read_keystore, read_truststore, write_keystore,
    write_truststore,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::made::{chain_of_three, password, root};

static STORES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let secret = password("changeit");
    let mut stores = vec![include_bytes!("../data/openssl-legacy.p12").to_vec()];
    for kind in [StoreKind::Jks, StoreKind::Pem, StoreKind::Pkcs12] {
        stores.push(write_truststore(kind, &[root().certificate().clone()], &secret).unwrap());
        stores.push(write_keystore(kind, &chain_of_three(), &secret, "a").unwrap());
    }
    stores
});

/// The outcome does not matter; that there is one does.
fn read(bytes: &[u8]) {
    let secret = password("changeit");
    for kind in [StoreKind::Jks, StoreKind::Pem] {
        let _ = read_truststore(kind, bytes, None);
        let _ = read_truststore(kind, bytes, Some(&secret));
        let _ = read_keystore(kind, bytes, Some(&secret), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn random_bytes_are_refused(
        start in prop::sample::select(vec![&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2][..], b"-----BEGIN ", b"\x30\x30\x02\x01\x03", b""]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, &rest].concat();
        read(&bytes);
    }

    #[test]
    fn damaged_stores_end_in_an_answer(
        store in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        end in prop::option::weighted(0.3, any::<Index>()),
    ) {
        let mut bytes = STORES[store.index(STORES.len())].clone();
        for (position, value) in changes {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        read(&bytes);
    }
}

#[test]
fn every_cut_of_a_jks_store_is_an_error_with_its_place() {
    let secret = password("changeit");
    let whole = write_keystore(StoreKind::Jks, &chain_of_three(), &secret, "a").unwrap();
    for end in 8..whole.len() {
        let error = read_keystore(StoreKind::Jks, &whole[..end], Some(&secret), None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("corrupt at byte") && text.contains("too early"), "{end}: {text}");
    }
}

#[test]
fn counts_and_lengths_beyond_the_end_reserve_nothing() {
    let mut bytes = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2];
    bytes.extend(u32::MAX.to_be_bytes());
    assert!(read_truststore(StoreKind::Jks, &bytes, None).is_err());
    bytes.extend([0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(u32::MAX.to_be_bytes());
    assert!(read_truststore(StoreKind::Jks, &bytes, None).is_err());
}

#[test]
fn encryption_that_asks_for_hours_is_refused() {
    let text = include_str!("../data/ec-encrypted.pem");
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = BASE64_STANDARD.decode(body).unwrap();
    // The iterations: an integer of two bytes behind a salt of eight or sixteen.
    let place = der.windows(4).position(|part| part == [0x02, 0x02, 0x08, 0x00]).unwrap();
    der[place..place + 4].copy_from_slice(&[0x02, 0x02, 0x7f, 0xff]);
    let again = |der: &[u8]| {
        let text = format!(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----\n",
            BASE64_STANDARD.encode(der)
        );
        private_key_from_pem(&text.into(), Some(&password("changeit")))
    };
    assert!(matches!(again(&der), Err(KeyError::WrongPassword)), "other iterations give another key");
    let costly = with_iterations(&der, place, 0x7fff_ffff);
    assert!(matches!(again(&costly), Err(KeyError::Costly)));
}

/// Replaces an integer of two bytes by one of four, and lengthens every element around it.
fn with_iterations(der: &[u8], place: usize, iterations: u32) -> Vec<u8> {
    let mut bytes = der[..place].to_vec();
    bytes.extend([0x02, 0x04]);
    bytes.extend(iterations.to_be_bytes());
    bytes.extend(&der[place + 4..]);
    let mut position = 0;
    while position < place {
        let header = if bytes[position + 1] == 0x81 { 3 } else { 2 };
        let end = position + header + usize::from(bytes[position + header - 1]);
        if bytes[position] == 0x30 && end > place {
            bytes[position + header - 1] += 2;
            position += header;
        } else {
            position = end;
        }
    }
    bytes
}
