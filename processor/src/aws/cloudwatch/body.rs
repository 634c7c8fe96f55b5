//! Request bodies of `PutLogEvents`, written from messages that are JSON already.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::{
    model::events::Batch,
    ports::{Enclosure, LogTarget},
};

/// Memory of requests that are through. A new request of a megabyte would otherwise touch new pages each time.
#[derive(Debug, Default)]
pub(super) struct Bodies(Mutex<Vec<Vec<u8>>>);

/// How many buffers are kept. They are beside the memory that is accounted for.
const BODIES_KEPT: usize = 4;

impl Bodies {
    /// Returns what `write` puts into an empty buffer. The buffer comes back when nobody holds the bytes any more.
    pub(super) fn lend(bodies: &Arc<Self>, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let kept = bodies.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = kept.unwrap_or_default();
        write(&mut bytes);
        Bytes::from_owner(Lent { bytes, home: Arc::clone(bodies) })
    }

    fn take_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BODIES_KEPT {
            kept.push(bytes);
        }
    }
}

/// A buffer that is out.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Bodies>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.take_back(std::mem::take(&mut self.bytes));
    }
}

/// What stands around the events in the body of `PutLogEvents` in awsJson1.1.
pub(crate) fn enclosure(target: &LogTarget) -> Enclosure {
    // Both names consist of characters that JSON takes as they are, but that is for their types to know.
    let text = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let (group, stream) = (text(target.group.as_str()), text(target.stream.as_str()));
    let front = format!(r#"{{"logGroupName":{group},"logStreamName":{stream},"logEvents":["#);
    Enclosure { front: front.into_bytes(), back: b"]}" }
}

/// Writes the body of `PutLogEvents` for a batch that does not stand in its segment as a request.
pub(crate) fn write_request(body: &mut Vec<u8>, target: &LogTarget, batch: &Batch) {
    let Enclosure { front, back } = enclosure(target);
    body.reserve(front.len() + batch.elements_len() + back.len());
    body.extend_from_slice(&front);
    batch.write_elements(body);
    body.extend_from_slice(back);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::message::Message,
        engine::segment::{Held, SegmentBuilder, Sizes},
        model::{events::RecordPlace, ids::LogStreamName},
        ports::Access,
    };

    #[test]
    fn the_body_is_what_the_service_expects() {
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        builder.push_event(0, 17, &Message::from_text("say \"é\"\n").unwrap());
        builder.push_event(1, 18, &Message::from_text("b").unwrap());
        let batch = Batch::new(
            Arc::new(builder.take(RecordPlace::default()).unwrap().into_segment()),
            vec![0, 1],
        );
        let access = Access {
            tenant: "acme".parse().unwrap(),
            role: "arn:aws:iam::222222222222:role/x".parse().unwrap(),
            external_id: None,
            region: "us-east-2".parse().unwrap(),
        };
        let stream = LogStreamName::sanitised("a \"quoted\" stream");
        let target = LogTarget { access, group: "/g".parse().unwrap(), stream };
        let bodies = Arc::<Bodies>::default();
        let written = Bodies::lend(&bodies, |body| write_request(body, &target, &batch));
        let body: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let expected = serde_json::json!({
            "logGroupName": "/g",
            "logStreamName": "a \"quoted\" stream",
            "logEvents": [{"timestamp": 17, "message": "say \"é\"\n"}, {"timestamp": 18, "message": "b"}],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_call_that_is_repeated_sends_what_was_written_for_the_first() {
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        builder.push_event(0, 17, &Message::from_text("a").unwrap());
        let segment = builder.take(RecordPlace::default()).unwrap().into_segment();
        let batch = Batch::new(Arc::new(segment), vec![0]);
        let bodies = Arc::<Bodies>::default();
        let write = |text: &[u8]| Bodies::lend(&bodies, |body| body.extend_from_slice(text));
        assert_eq!(batch.request(|| write(b"first")), "first");
        assert_eq!(batch.request(|| write(b"second")), "first");
        // The memory is free for others when the batch is settled.
        let place = batch.request(|| write(b"third")).as_ptr();
        drop(batch);
        assert_eq!(write(b"next").as_ptr(), place);
    }

    #[test]
    fn a_body_is_written_where_the_last_one_was_once_nobody_holds_it() {
        let bodies = Arc::<Bodies>::default();
        let write = |text: &[u8]| Bodies::lend(&bodies, |body| body.extend_from_slice(text));
        let first = write(b"a longer text");
        let (place, held) = (first.as_ptr(), first.clone());
        drop(first);
        assert_ne!(write(b"x").as_ptr(), place);
        drop(held);
        let last = write(b"y");
        assert_eq!((last.as_ptr(), last.as_ref()), (place, b"y".as_slice()));
    }
}
