//! Compressed objects, whole and damaged.

use std::io::Write;

use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::*;
use crate::decode::gzip;

const RECORDS: &str = "{\"message\":\"a\"}\n{\"message\":\"b\"}\n";

fn zip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Decodes an object and compares its messages and its error.
#[track_caller]
fn check(object: &[u8], messages: &[&str], error: Option<GzipError>) {
    let outcome = decode(object, Limits::default());
    assert_eq!(
        (summary(&outcome), outcome.error),
        (messages.iter().map(|&text| text.to_owned()).collect(), error)
    );
}

#[test]
fn compressed_and_plain_objects_are_told_apart_by_content() {
    check(RECORDS.as_bytes(), &["a", "b"], None);
    check(&zip(RECORDS.as_bytes()), &["a", "b"], None);
    check(b"", &[], None);
    check(&zip(b""), &[], None);
    check(b"\x1f", &[r"not_an_object <\x1f>"], None);
    check(b"\x1f\x8a", &[r"not_an_object <\x1f\x8a>"], None);
}

#[test]
fn all_members_are_read() {
    let (first, second) = RECORDS.split_at(20);
    let object = [zip(first.as_bytes()), zip(b""), zip(second.as_bytes())].concat();
    check(&object, &["a", "b"], None);
    check(&[zip(b"["), zip(b"{\"message\":\"a\"}"), zip(b"]")].concat(), &["a"], None);
    let outcome = decode(&object, Limits::default());
    assert_eq!(
        (outcome.counters.bytes_read, outcome.counters.bytes_inflated),
        (object.len() as u64, RECORDS.len() as u64)
    );
}

#[test]
fn every_optional_part_of_a_header_is_passed_over() {
    let mut encoder = GzBuilder::new()
        .extra(vec![7; 300])
        .filename("a.json")
        .comment("made by hand")
        .mtime(9)
        .write(Vec::new(), Compression::fast());
    encoder.write_all(RECORDS.as_bytes()).unwrap();
    check(&encoder.finish().unwrap(), &["a", "b"], None);

    let plain = zip(RECORDS.as_bytes());
    let mut header = plain[..10].to_vec();
    header[3] = 1 << 1;
    let mut checksum = flate2::Crc::new();
    checksum.update(&header);
    let with_crc = |crc: u32| [&header[..], &crc.to_le_bytes()[..2], &plain[10..]].concat();
    check(&with_crc(checksum.sum()), &["a", "b"], None);
    check(&with_crc(!checksum.sum()), &[], Some(GzipError::Header { at: 12 }));
}

#[test]
fn padding_with_zeros_after_the_last_member_is_not_garbage() {
    let object = [zip(RECORDS.as_bytes()), vec![0; 1000]].concat();
    check(&object, &["a", "b"], None);
}

#[test]
fn damage_is_an_error_after_the_records_before_it() {
    let whole = zip(RECORDS.as_bytes());
    let end = whole.len() as u64;
    for garbage in [&b"x"[..], b"\x1f", b"\0\0x", b"{\"message\":\"c\"}"] {
        let at = end + garbage.iter().take_while(|&&byte| byte == 0).count() as u64;
        check(
            &[&whole[..], garbage].concat(),
            &["a", "b"],
            Some(GzipError::TrailingGarbage { at }),
        );
    }
    check(
        &[&whole[..], b"\x1f\x8b"].concat(),
        &["a", "b"],
        Some(GzipError::Truncated { at: end + 2 }),
    );
    check(
        &[&whole[..], b"\x1f\x8b\x07\0\0\0\0\0\0\0"].concat(),
        &["a", "b"],
        Some(GzipError::Header { at: end + 10 }),
    );
    for (from_end, wrong) in [(8, "checksum"), (4, "length")] {
        let mut object = whole.clone();
        let at = object.len() - from_end;
        object[at] ^= 1;
        check(&object, &["a", "b"], Some(GzipError::Checksum { at: end }));
        assert!(!wrong.is_empty());
    }
}

#[test]
fn an_object_cut_anywhere_is_truncated_and_never_whole() {
    let whole = zip(RECORDS.as_bytes());
    for length in 2..whole.len() {
        let outcome = decode(&whole[..length], Limits::default());
        assert_eq!(
            outcome.error,
            Some(GzipError::Truncated { at: length as u64 }),
            "{length} bytes"
        );
        assert_eq!(outcome.counters.bad, 0, "the cut record is not judged");
    }
}

#[test]
fn a_broken_deflate_stream_is_an_error_after_the_records_before_it() {
    let mut content = Vec::new();
    let mut state = 1_u32;
    for index in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        content.extend_from_slice(format!("{{\"message\":\"{index} {state}\"}}\n").as_bytes());
    }
    let mut object = zip(&content);
    let middle = object.len() / 2;
    object[middle..middle + 64].fill(0xff);
    let outcome = decode_once(&object, Limits::default(), Reading::Fast, 256 << 10, usize::MAX);
    assert!(
        matches!(outcome.error, Some(GzipError::Deflate { .. } | GzipError::Checksum { .. })),
        "{:?}",
        outcome.error
    );
    let events = outcome.seen.iter().filter(|seen| matches!(seen, Seen::Event { .. })).count();
    assert!(events > 5_000, "{events}");
}

#[test]
fn gzip_inside_gzip_is_refused() {
    let object = zip(&zip(RECORDS.as_bytes()));
    for read_bytes in [1, 256 << 10] {
        let outcome =
            decode_once(&object, Limits::default(), Reading::Fast, read_bytes, usize::MAX);
        assert_eq!((outcome.seen, outcome.error), (vec![], Some(GzipError::Nested)));
    }
}

#[test]
fn a_bomb_is_refused_and_a_large_log_is_not() {
    let limits = Limits { max_inflated: 10_000, ..Limits::default() };
    let bomb = zip(&vec![b' '; 20 << 20]);
    let outcome = decode_once(&bomb, limits, Reading::Fast, 256 << 10, usize::MAX);
    assert!(
        matches!(outcome.error, Some(GzipError::Bomb { inflated: 10_001..2_000_000, .. })),
        "{:?}",
        outcome.error
    );
    // Above the ratio and below the size, and the other way round.
    let outcome = decode_once(&bomb, Limits::default(), Reading::Fast, 256 << 10, usize::MAX);
    assert_eq!(outcome.error, None);
    let outcome = decode_once(
        &zip(RECORDS.repeat(1000).as_bytes()),
        limits,
        Reading::Fast,
        256 << 10,
        usize::MAX,
    );
    assert_eq!((outcome.counters.events, outcome.error), (2000, None));
}

#[test]
fn the_decompressed_bytes_can_be_read_alone() {
    let object = [zip(RECORDS.as_bytes()), zip(RECORDS.as_bytes())].concat();
    let mut content = String::new();
    let mut inflater = gzip::Inflater::new(&object[..], Limits::default());
    inflater.read_to_string(&mut content).unwrap();
    assert_eq!(content, RECORDS.repeat(2));
    let error = gzip::Inflater::new(&object[..30], Limits::default())
        .read_to_string(&mut content)
        .unwrap_err();
    assert_eq!(error.downcast::<GzipError>().unwrap(), GzipError::Truncated { at: 30 });
}
