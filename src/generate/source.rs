//! One pod as a source of messages.

use jiff::Timestamp;

use super::{
    message::{MessageSize, MessageWriter, ShapeChoice, Stream},
    population::Pod,
    random::Random,
    timeline::Timeline,
};

/// What decides the messages of all pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Where the random sequences start.
    pub seed: u64,
    /// The shapes of the messages.
    pub shapes: ShapeChoice,
    /// The size that short messages are filled up to.
    pub size: Option<MessageSize>,
    /// The times of the messages.
    pub timeline: Timeline,
}

/// One message and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The text; it may have several lines.
    pub text: String,
    /// The container's output it was written to.
    pub stream: Stream,
    /// When it was written.
    pub time: Timestamp,
}

/// The endless sequence of a pod's messages.
///
/// Each pod has random numbers of its own: what it says depends neither on the other pods
/// nor on how messages are grouped into objects.
#[derive(Debug)]
pub struct PodSource {
    /// The pod.
    pub pod: Pod,
    timeline: Timeline,
    times: Random,
    writer: MessageWriter,
    index: u64,
    previous: Timestamp,
}

impl PodSource {
    /// Starts the sequence of `pod`.
    pub fn new(pod: Pod, content: &Content) -> Self {
        let random =
            |purpose: &str| Random::named(content.seed, &format!("{purpose} {}", pod.sequence));
        Self {
            timeline: content.timeline,
            times: random("times"),
            writer: MessageWriter::new(random("messages"), content.shapes, content.size),
            index: 0,
            previous: Timestamp::MIN,
            pod,
        }
    }

    /// Replaces `message` by the next one. Its time is never before that of the one before.
    pub fn next(&mut self, message: &mut Message) {
        message.time = self.timeline.time(self.index, self.previous, &mut self.times);
        self.index += 1;
        self.previous = message.time;
        message.stream = self.writer.next(message.time, &mut message.text);
    }
}
