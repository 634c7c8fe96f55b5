//! Going on in the middle of an object.

use super::*;

#[test]
fn every_resume_point_gives_the_records_that_are_left() {
    let object = "\u{feff}[{\"message\":\"a\"},7,\n{\"message\":\"b\"}]\n{\"message\":\"c\"}\n{\"message\":}\n[{\"message\":\"d\"},";
    let options = options(Limits::default(), Reading::Fast);
    let whole = collect(Decoder::new(object.as_bytes(), options)).seen;
    assert_eq!(whole.len(), 7);
    let mut decoder = Decoder::new(object.as_bytes(), options);
    let mut places = vec![decoder.resume_point()];
    while decoder.next().unwrap().is_some() {
        places.push(decoder.resume_point());
    }
    assert_eq!(places.len(), 8);
    for (read, place) in places.iter().enumerate() {
        let rest = collect(Decoder::resume(object.as_bytes(), options, *place));
        assert_eq!(rest.seen, whole[read..], "{place:?}");
    }
}

#[test]
fn an_object_that_ends_before_the_place_has_no_records_left() {
    let place = ResumePoint { record: 3, offset: 1000, framing: Framing::Array };
    let outcome =
        collect(Decoder::resume(&b"[{}]"[..], options(Limits::default(), Reading::Fast), place));
    assert_eq!(outcome.seen, []);
}

#[test]
fn a_failing_source_is_an_error_after_the_records_before_it() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "reset"))
        }
    }
    let source = (&b"{\"message\":\"a\"}\n{\"message\":"[..]).chain(Failing);
    let mut decoder = Decoder::new(source, Options::default());
    assert!(matches!(decoder.next(), Ok(Some(Decoded::Event(_)))));
    for _ in 0..2 {
        let Err(DecodeError::Read(error)) = decoder.next() else {
            panic!("the failure is not reported");
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert_eq!(decoder.counters().records, 1);
}
