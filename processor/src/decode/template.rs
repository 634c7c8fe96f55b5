//! Records read by comparison with the layout of the records before them.
//!
//! Most bytes of a log record are the same in all records of an object: the names of the fields
//! and what the collector knows about the container. A template is such a record with holes where
//! the values differ. A record whose bytes equal the template's outside the holes, and that has a
//! valid JSON string or number where the template has one, is valid JSON with the same fields,
//! because the template's record was. Anything else does not match, and is parsed.
//!
//! At first the message and the timestamp are holes. There are as many templates as a pod has
//! containers and streams; when there are more different records than templates, a value gets a
//! hole that differs in nearly equal records.

use std::ops::Range;

use super::{
    json::{self, StringBody},
    timestamp::{self, LastSecond},
    walk::{Layout, MAX_SCALARS},
};

/// How many templates are kept.
const MAX_TEMPLATES: usize = 8;

/// How many values may have holes because they differ; with more, parsing is as fast.
const MAX_VARYING: usize = 16;

/// Longer records are parsed and not learned, and so are records of many values.
const MAX_RECORD: usize = 64 << 10;

/// How many records in a row without a match make learning rare, and how rare.
const LEARNING_PAUSE: u32 = 32;

/// The templates, the last matching one first.
#[derive(Debug, Default)]
pub(super) struct Templates {
    templates: Vec<Template>,
    last_second: LastSecond,
    learned_since_match: u32,
}

/// What a record says that matches a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// Length of the record.
    pub(super) len: usize,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp_ms: i64,
    /// Where the inside of the message's JSON string stands.
    pub(super) message: Range<usize>,
    /// What is known of the message.
    pub(super) body: StringBody,
}

/// A valid record, and where the values stand that vary.
#[derive(Debug)]
struct Template {
    record: Vec<u8>,
    scalars: Vec<Range<usize>>,
    holes: Vec<Hole>,
    /// The record's bytes after the last hole.
    tail: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hole {
    /// Which of the record's scalars it stands for.
    scalar: usize,
    /// The record's bytes between the hole before and this one.
    before: Range<usize>,
    kind: Kind,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A JSON string, whose quotes are not part of the hole.
    String,
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Message,
    Timestamp,
    Other,
}

impl Templates {
    /// Reads the record at the beginning of `input`, if it matches a template.
    pub(super) fn find(&mut self, input: &[u8]) -> Option<Match> {
        let Self { templates, last_second, .. } = self;
        let mut candidates = templates.iter().enumerate();
        let (at, found) =
            candidates.find_map(|(at, template)| Some((at, template.read(input, last_second)?)))?;
        if at > 0 {
            self.templates.swap(0, at);
        }
        self.learned_since_match = 0;
        Some(found)
    }

    /// Learns the layout of a valid record of UTF-8.
    pub(super) fn learn(&mut self, record: &[u8], layout: &Layout) {
        self.learned_since_match = self.learned_since_match.saturating_add(1);
        let is_paused = self.learned_since_match > LEARNING_PAUSE
            && !self.learned_since_match.is_multiple_of(LEARNING_PAUSE);
        if is_paused || record.len() > MAX_RECORD || layout.scalars.len() == MAX_SCALARS {
            return;
        }
        let nearest =
            if self.templates.len() < MAX_TEMPLATES { None } else { self.nearest(record, layout) };
        let (replaced, varying) = nearest.unwrap_or((MAX_TEMPLATES - 1, Vec::new()));
        if let Some(template) = Template::new(record, layout, &varying) {
            self.templates.truncate(MAX_TEMPLATES);
            if self.templates.len() == MAX_TEMPLATES {
                self.templates.remove(replaced);
            }
            self.templates.insert(0, template);
        }
    }

    /// Returns the template with the fewest differences to a record, and the scalars that differ.
    fn nearest(&self, record: &[u8], layout: &Layout) -> Option<(usize, Vec<usize>)> {
        let varying = |(at, template): (usize, &Template)| {
            Some((at, template.varying(record, &layout.scalars)?))
        };
        let candidates = self.templates.iter().enumerate().filter_map(varying);
        candidates
            .filter(|(_, varying)| varying.len() <= MAX_VARYING)
            .min_by_key(|(_, varying)| varying.len())
    }
}

impl Template {
    /// Returns the template that a record is with holes for the message, the timestamp and the
    /// scalars at `varying`.
    ///
    /// There is none if the record has a key with escapes, no message that is a string, or no
    /// timestamp that is a string or a number. Of equal keys the last one counts.
    fn new(record: &[u8], layout: &Layout, varying: &[usize]) -> Option<Self> {
        let (mut message, mut timestamp) = (None, None);
        for member in &layout.members {
            match record.get(member.key.clone())? {
                b"message" => message = Some(&member.value),
                b"timestamp" => timestamp = Some(&member.value),
                key if key.contains(&b'\\') => return None,
                _ => {}
            }
        }
        let (message, timestamp) = (message?, timestamp?);
        let mut holes = Vec::new();
        let mut from = 0;
        for (scalar, value) in layout.scalars.iter().enumerate() {
            let kind = Kind::of(record.get(value.clone())?)?;
            let role = match value {
                _ if value == message && kind == Kind::String => Role::Message,
                _ if value == timestamp => Role::Timestamp,
                _ if varying.contains(&scalar) => Role::Other,
                _ => continue,
            };
            let quote = usize::from(kind == Kind::String);
            holes.push(Hole { scalar, before: from..value.start + quote, kind, role });
            from = value.end - quote;
        }
        let has = |role| holes.iter().any(|hole| hole.role == role);
        (has(Role::Message) && has(Role::Timestamp)).then(|| Self {
            record: record.to_vec(),
            scalars: layout.scalars.clone(),
            holes,
            tail: from..record.len(),
        })
    }

    /// Returns the scalars at which a record differs from this one or this one has holes, if the
    /// rest is equal and all of these scalars are of the same kind as here.
    fn varying(&self, record: &[u8], scalars: &[Range<usize>]) -> Option<Vec<usize>> {
        if scalars.len() != self.scalars.len() {
            return None;
        }
        let mut varying: Vec<usize> = self.holes.iter().map(|hole| hole.scalar).collect();
        let (mut here, mut there) = (0, 0);
        for (at, (own, other)) in self.scalars.iter().zip(scalars).enumerate() {
            if self.record.get(here..own.start)? != record.get(there..other.start)? {
                return None;
            }
            let (own_value, other_value) =
                (self.record.get(own.clone())?, record.get(other.clone())?);
            if own_value != other_value && !varying.contains(&at) {
                Kind::of(own_value).filter(|kind| Kind::of(other_value) == Some(*kind))?;
                varying.push(at);
            }
            (here, there) = (own.end, other.end);
        }
        (self.record.get(here..)? == record.get(there..)?).then_some(varying)
    }

    fn read(&self, input: &[u8], last_second: &mut LastSecond) -> Option<Match> {
        let mut len = 0;
        let mut message = None;
        let mut timestamp_ms = None;
        for hole in &self.holes {
            let before = self.record.get(hole.before.clone())?;
            let rest = input.get(len..)?.strip_prefix(before)?;
            len += before.len();
            let value_len = match hole.kind {
                // It ends with a `Z`; what stands before the next hole begins with the quote.
                Kind::String
                    if hole.role == Role::Timestamp
                        && let Some((instant, value_len)) = last_second.parse_leading(rest) =>
                {
                    timestamp_ms = Some(instant);
                    value_len
                }
                Kind::String => {
                    let body = json::string_body(rest)?;
                    let value = rest.get(..body.len)?;
                    match hole.role {
                        Role::Message => message = Some((len, body)),
                        Role::Timestamp => timestamp_ms = Some(timestamp::parse_body(value)?),
                        Role::Other => body.is_ascii.then_some(())?,
                    }
                    body.len
                }
                Kind::Number => {
                    let value_len = json::number_len(rest)?;
                    if hole.role == Role::Timestamp {
                        timestamp_ms = Some(timestamp::parse_number(rest.get(..value_len)?)?);
                    }
                    value_len
                }
            };
            len += value_len;
        }
        let tail = self.record.get(self.tail.clone())?;
        input.get(len..)?.strip_prefix(tail)?;
        let (start, body) = message.filter(|(_, body)| body.len > 0)?;
        Some(Match {
            len: len + tail.len(),
            timestamp_ms: timestamp_ms?,
            message: start..start + body.len,
            body,
        })
    }
}

impl Kind {
    /// Returns the kind of a JSON value that a hole can stand for.
    fn of(value: &[u8]) -> Option<Self> {
        match value.first()? {
            b'"' => Some(Self::String),
            b'-' | b'0'..=b'9' => Some(Self::Number),
            _ => None,
        }
    }
}
