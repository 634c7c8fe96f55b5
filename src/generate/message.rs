//! The text of one log message, in the shapes that real components write.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

use super::{
    prose,
    random::{Random, push},
};

/// A form of log message: mostly, where and how it carries its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// JSON with `ts`, as RFC 3339 or as seconds with a fraction.
    JsonTs,
    /// JSON with `time` in RFC 3339.
    JsonTime,
    /// A Kubernetes audit event with `requestReceivedTimestamp` and `stageTimestamp`.
    JsonAudit,
    /// Text after an ISO 8601 time.
    IsoDirect,
    /// `time="..." level=... msg="..."`.
    TimeEquals,
    /// klog: level letter, month and day, time, thread, source.
    Klog,
    /// Go's standard logger: `2026/11/23 09:41:33 text`.
    GoStandard,
    /// Text without a time.
    Plain,
    /// A stack trace: one message of several lines.
    StackTrace,
    /// Text of many scripts, with characters that need escapes.
    Unicode,
}

/// The shapes, their names, what they look like, and how many of a hundred mixed messages have them.
const SHAPES: [(Shape, &str, &str, u64); 10] = [
    (Shape::JsonTs, "json_ts", "JSON with the field ts", 18),
    (Shape::JsonTime, "json_time", "JSON with the field time", 12),
    (Shape::JsonAudit, "json_audit", "a Kubernetes audit event", 6),
    (Shape::IsoDirect, "iso_direct", "text after an ISO 8601 time", 14),
    (Shape::TimeEquals, "time_equals", "time=\"...\" level=... msg=\"...\"", 10),
    (Shape::Klog, "kubernetes", "klog: I1123 09:41:33.123456 1 file.go:12] text", 20),
    (Shape::GoStandard, "go_standard", "Go's logger: 2026/11/23 09:41:33 text", 6),
    (Shape::Plain, "plain", "text without a time", 7),
    (Shape::StackTrace, "stack_trace", "a stack trace of several lines", 3),
    (Shape::Unicode, "unicode", "text of many scripts, with characters that need escapes", 4),
];

/// The name of a shape that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no message format `{0}`")]
pub struct UnknownShape(String);

impl Shape {
    /// Lists every shape's name and what it looks like.
    pub fn catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
        SHAPES.iter().map(|(_, name, looks, _)| (*name, *looks))
    }
}

impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(text: &str) -> Result<Self, UnknownShape> {
        let found = SHAPES.iter().find(|(_, name, _, _)| *name == text);
        found.map(|(shape, ..)| *shape).ok_or_else(|| UnknownShape(text.to_owned()))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SHAPES.iter().find(|(shape, ..)| shape == self).map_or("", |(_, name, ..)| name);
        f.write_str(name)
    }
}

/// Which shapes a pod writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeChoice {
    /// All, in the proportions of a hosted control plane.
    Mixed,
    /// Only this one.
    Only(Shape),
}

/// The sizes that short messages are filled up to, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageSize {
    least: u64,
    most: u64,
}

/// Two sizes of which the smaller is the larger one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the least message size, {least} bytes, is above the greatest, {most}")]
pub struct InvalidMessageSize {
    least: u64,
    most: u64,
}

impl MessageSize {
    /// Draws sizes from `least` to `most` bytes. Longer messages stay as they are.
    pub fn between(least: u64, most: u64) -> Result<Self, InvalidMessageSize> {
        if least <= most {
            Ok(Self { least, most })
        } else {
            Err(InvalidMessageSize { least, most })
        }
    }
}

/// The output of the container that a message came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Returns the name that the container runtime gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How bad it is. A type of its own because each shape writes it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes messages. The sequence depends on its random numbers alone.
#[derive(Debug, Clone)]
pub(crate) struct MessageWriter {
    random: Random,
    shapes: ShapeChoice,
    size: Option<MessageSize>,
    text: String,
}

impl MessageWriter {
    pub(crate) fn new(random: Random, shapes: ShapeChoice, size: Option<MessageSize>) -> Self {
        Self { random, shapes, size, text: String::new() }
    }

    /// Replaces `out` by the next message, which is written at `time`.
    pub(crate) fn next(&mut self, time: Timestamp, out: &mut String) -> Stream {
        out.clear();
        let shape = match self.shapes {
            ShapeChoice::Only(shape) => shape,
            ShapeChoice::Mixed => mixed_shape(self.random.below(100)),
        };
        let level = level(self.random.below(100));
        let choices = match shape {
            Shape::Unicode => prose::UNICODE,
            Shape::StackTrace => prose::TRACES,
            _ => level.phrases(),
        };
        self.text.clear();
        let phrase = self.random.pick(choices);
        fill(phrase, &mut self.random, &mut self.text);
        let random = &mut self.random;
        match shape {
            Shape::JsonTs => json_ts(time, level, &self.text, random, out),
            Shape::JsonTime => json_time(time, level, &self.text, random, out),
            Shape::JsonAudit => json_audit(time, random, out),
            Shape::IsoDirect => iso_direct(time, level, &self.text, random, out),
            Shape::TimeEquals => time_equals(time, level, &self.text, random, out),
            Shape::Klog => klog(time, level, &self.text, random, out),
            Shape::GoStandard => {
                push(out, format_args!("{} {}", time.strftime("%Y/%m/%d %H:%M:%S"), self.text));
            }
            Shape::Plain | Shape::StackTrace | Shape::Unicode => out.push_str(&self.text),
        }
        self.lengthen(shape, out);
        match (shape, level) {
            (Shape::Klog | Shape::StackTrace | Shape::GoStandard, _)
            | (Shape::Plain, Level::Error) => Stream::Stderr,
            _ => Stream::Stdout,
        }
    }

    /// Brings a short message to a size inside the wanted range.
    fn lengthen(&mut self, shape: Shape, out: &mut String) {
        const FIELD: &str = ",\"detail\":\"";
        let Some(size) = self.size else { return };
        let wanted =
            usize::try_from(self.random.between(size.least, size.most)).unwrap_or(usize::MAX);
        if matches!(shape, Shape::JsonTs | Shape::JsonTime | Shape::JsonAudit) {
            // The field and its closing quote come on top; a gap smaller than that stays open.
            let Some(gap) = wanted.checked_sub(out.len() + FIELD.len() + 1) else { return };
            out.pop();
            out.push_str(FIELD);
            words(gap, &mut self.random, out);
            out.push_str("\"}");
        } else if let Some(gap) = wanted.checked_sub(out.len() + 1) {
            out.push(' ');
            words(gap, &mut self.random, out);
        }
    }
}

impl Level {
    fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::Debug => prose::DEBUG,
            Self::Info => prose::INFO,
            Self::Warn => prose::WARN,
            Self::Error => prose::ERROR,
        }
    }

    fn upper(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    fn lower(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// klog has no debug level: verbose lines are informational ones.
    fn klog(self) -> char {
        match self {
            Self::Debug | Self::Info => 'I',
            Self::Warn => 'W',
            Self::Error => 'E',
        }
    }
}

fn mixed_shape(mut draw: u64) -> Shape {
    for (shape, _, _, share) in SHAPES {
        match draw.checked_sub(share) {
            None => return shape,
            Some(rest) => draw = rest,
        }
    }
    Shape::Plain
}

fn level(draw: u64) -> Level {
    match draw {
        0..30 => Level::Debug,
        30..80 => Level::Info,
        80..95 => Level::Warn,
        _ => Level::Error,
    }
}

fn json_ts(time: Timestamp, level: Level, text: &str, random: &mut Random, out: &mut String) {
    push(out, format_args!("{{\"level\":\"{}\",\"ts\":", level.lower()));
    if random.percent(40) {
        push(out, format_args!("{}.{:06}", time.as_second(), time.subsec_nanosecond() / 1000));
    } else {
        push(out, format_args!("\"{time:.6}\""));
    }
    let controller = random.pick(prose::CONTROLLERS);
    push(
        out,
        format_args!(",\"logger\":\"controller.{controller}\",\"msg\":{}", Value::from(text)),
    );
    push(
        out,
        format_args!(
            ",\"controller\":\"{controller}\",\"attempt\":{},\"reconcileID\":\"",
            random.below(9)
        ),
    );
    random.uuid(out);
    out.push_str("\"}");
}

fn json_time(time: Timestamp, level: Level, text: &str, random: &mut Random, out: &mut String) {
    let controller = random.pick(prose::CONTROLLERS);
    push(out, format_args!("{{\"time\":\"{time:.9}\",\"level\":\"{}\",", level.upper()));
    push(
        out,
        format_args!(
            "\"source\":{{\"file\":\"{controller}/run.go\",\"line\":{}}},",
            random.between(10, 900)
        ),
    );
    push(out, format_args!("\"msg\":{},\"trace_id\":\"", Value::from(text)));
    random.hex(16, out);
    push(out, format_args!("\",\"duration_ms\":{}.{}}}", random.below(3000), random.below(10)));
}

fn json_audit(time: Timestamp, random: &mut Random, out: &mut String) {
    let resource = random.pick(prose::RESOURCES);
    let (verb, user) = (random.pick(prose::VERBS), random.pick(prose::CONTROLLERS));
    out.push_str(
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":""#,
    );
    random.uuid(out);
    push(
        out,
        format_args!(
            r#"","stage":"ResponseComplete","requestURI":"/api/v1/{resource}?limit=500","#
        ),
    );
    push(
        out,
        format_args!(
            r#""verb":"{verb}","user":{{"username":"system:serviceaccount:kube-system:{user}","#
        ),
    );
    out.push_str(
        r#""groups":["system:serviceaccounts","system:authenticated"]},"sourceIPs":["10.0."#,
    );
    push(out, format_args!(r#"{}.{}"],"#, random.below(256), random.between(1, 254)));
    push(out, format_args!(r#""userAgent":"{}","#, random.pick(prose::USER_AGENTS)));
    push(out, format_args!(r#""objectRef":{{"resource":"{resource}","apiVersion":"v1"}},"#));
    push(
        out,
        format_args!(
            r#""responseStatus":{{"metadata":{{}},"code":{}}},"#,
            random.pick(&["200", "201", "404", "409"])
        ),
    );
    let received = time
        - jiff::SignedDuration::from_micros(
            i64::try_from(random.below(40_000)).unwrap_or_default(),
        );
    push(
        out,
        format_args!(r#""requestReceivedTimestamp":"{received:.6}","stageTimestamp":"{time:.6}","#),
    );
    out.push_str(r#""annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}"#);
}

fn iso_direct(time: Timestamp, level: Level, text: &str, random: &mut Random, out: &mut String) {
    let controller = random.pick(prose::CONTROLLERS);
    match random.below(3) {
        0 => push(out, format_args!("{time:.3} {:<5} [{controller}] {text}", level.upper())),
        1 => push(
            out,
            format_args!(
                "{} {controller} - {} - {text}",
                time.strftime("%Y-%m-%d %H:%M:%S%.3f"),
                level.upper()
            ),
        ),
        _ => push(
            out,
            format_args!("{} {} {text}", time.strftime("%Y-%m-%dT%H:%M:%S+00:00"), level.upper()),
        ),
    }
}

fn time_equals(time: Timestamp, level: Level, text: &str, random: &mut Random, out: &mut String) {
    push(
        out,
        format_args!("time=\"{time:.0}\" level={} msg={} ", level.lower(), Value::from(text)),
    );
    push(
        out,
        format_args!(
            "component={} pid={}",
            random.pick(prose::CONTROLLERS),
            random.between(2, 4000)
        ),
    );
}

fn klog(time: Timestamp, level: Level, text: &str, random: &mut Random, out: &mut String) {
    push(
        out,
        format_args!(
            "{}{} {:>7} ",
            level.klog(),
            time.strftime("%m%d %H:%M:%S%.6f"),
            random.between(1, 99)
        ),
    );
    push(
        out,
        format_args!("{}.go:{}] ", random.pick(prose::CONTROLLERS), random.between(10, 1200)),
    );
    if random.percent(50) {
        push(out, format_args!("{} err={}", Value::from(text), random.below(9)));
    } else {
        out.push_str(text);
    }
}

/// Appends `phrase` with each `{name}` replaced by a random value.
fn fill(phrase: &str, random: &mut Random, out: &mut String) {
    let mut parts = phrase.split('{');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let Some((name, rest)) = part.split_once('}') else {
            out.push('{');
            out.push_str(part);
            continue;
        };
        match name {
            "digit" => push(out, format_args!("{}", random.between(1, 9))),
            "small" => push(out, format_args!("{}", random.between(1, 999))),
            "number" => push(out, format_args!("{}", random.between(1_000, 99_999_999))),
            "port" => push(out, format_args!("{}", random.between(1024, 65_535))),
            "hex" => random.hex(10, out),
            "uuid" => random.uuid(out),
            "ip" => push(
                out,
                format_args!(
                    "10.{}.{}.{}",
                    random.below(256),
                    random.below(256),
                    random.between(1, 254)
                ),
            ),
            "resource" => out.push_str(random.pick(prose::RESOURCES)),
            "controller" => out.push_str(random.pick(prose::CONTROLLERS)),
            "peer" => push(out, format_args!("etcd-{}", random.below(3))),
            "namespace" => push(
                out,
                format_args!("{}-{}", random.pick(prose::WORDS), random.pick(prose::WORDS)),
            ),
            "name" => {
                push(out, format_args!("{}-", random.pick(prose::WORDS)));
                random.hex(5, out);
            }
            unknown => push(out, format_args!("{{{unknown}}}")),
        }
        out.push_str(rest);
    }
}

/// Appends words of exactly `bytes` bytes together.
fn words(bytes: usize, random: &mut Random, out: &mut String) {
    let end = out.len() + bytes;
    while out.len() < end {
        out.push_str(random.pick(prose::WORDS));
        out.push(' ');
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-23T09:41:33.123456789Z";

    fn messages(
        shapes: ShapeChoice,
        size: Option<MessageSize>,
        count: usize,
    ) -> Vec<(String, Stream)> {
        let mut writer = MessageWriter::new(Random::named(42, "messages"), shapes, size);
        let time: Timestamp = TIME.parse().unwrap();
        let mut message = String::new();
        (0..count)
            .map(|_| {
                let stream = writer.next(time, &mut message);
                (message.clone(), stream)
            })
            .collect()
    }

    #[test]
    fn shares_add_up_to_a_hundred_and_every_shape_has_a_name() {
        assert_eq!(SHAPES.iter().map(|(.., share)| share).sum::<u64>(), 100);
        for (shape, name, ..) in SHAPES {
            assert_eq!(name.parse::<Shape>().unwrap(), shape);
            assert_eq!(shape.to_string(), name);
        }
        assert_eq!("klog".parse::<Shape>(), Err(UnknownShape("klog".to_owned())));
    }

    #[test]
    fn each_shape_carries_its_time_where_its_readers_look() {
        let check = |name: &str, holds: &dyn Fn(&str) -> bool| {
            for (message, _) in messages(ShapeChoice::Only(name.parse().unwrap()), None, 200) {
                assert!(holds(&message), "{name}: {message}");
                assert!(!message.contains("{small}") && !message.is_empty(), "{message}");
            }
        };
        let json = |message: &str| serde_json::from_str::<Value>(message).unwrap();
        check("json_ts", &|m| {
            json(m)["ts"] == "2026-11-23T09:41:33.123456Z"
                || m.contains("\"ts\":1795426893.123456,")
        });
        check("json_time", &|m| json(m)["time"] == TIME);
        check("json_audit", &|m| json(m)["stageTimestamp"] == "2026-11-23T09:41:33.123456Z");
        check("iso_direct", &|m| {
            m.starts_with("2026-11-23T09:41:33") || m.starts_with("2026-11-23 09:41:33.123 ")
        });
        check("time_equals", &|m| m.starts_with("time=\"2026-11-23T09:41:33Z\" level="));
        check("kubernetes", &|m| {
            m.starts_with(['I', 'W', 'E'])
                && m.get(1..).is_some_and(|rest| rest.starts_with("1123 09:41:33.123456 "))
                && m.contains(".go:")
        });
        check("go_standard", &|m| m.starts_with("2026/11/23 09:41:33 "));
        check("plain", &|m| !m.contains('\n'));
        check("stack_trace", &|m| m.lines().count() >= 6);
        check("unicode", &|m| !m.is_ascii() || m.contains('\t') || m.contains('\u{1b}'));
    }

    #[test]
    fn no_placeholder_is_left_unfilled() {
        let all =
            [prose::DEBUG, prose::INFO, prose::WARN, prose::ERROR, prose::UNICODE, prose::TRACES]
                .concat();
        for phrase in all {
            let mut text = String::new();
            fill(phrase, &mut Random::named(1, "fill"), &mut text);
            assert!(!text.contains('{') && !text.contains('}'), "{phrase}");
        }
    }

    #[test]
    fn a_mix_has_every_shape_and_both_streams() {
        let mixed = messages(ShapeChoice::Mixed, None, 3000);
        let holds =
            |test: &dyn Fn(&str) -> bool| mixed.iter().filter(|(message, _)| test(message)).count();
        assert!(holds(&|m| m.starts_with('{')) > 500);
        assert!(holds(&|m| m.contains('\n')) > 20);
        assert!(holds(&|m| !m.is_ascii()) > 20);
        assert!(mixed.iter().any(|(_, stream)| *stream == Stream::Stderr));
        assert!(mixed.iter().any(|(_, stream)| *stream == Stream::Stdout));
    }

    #[test]
    fn short_messages_are_brought_to_the_wanted_size() {
        for shape in ["json_ts", "json_audit", "plain", "kubernetes"] {
            let size = MessageSize::between(900, 1024).unwrap();
            for (message, _) in messages(ShapeChoice::Only(shape.parse().unwrap()), Some(size), 100)
            {
                // Less than a field's frame may be missing where the text was almost long enough.
                assert!((880..=1024).contains(&message.len()), "{shape}: {}", message.len());
                assert!(
                    !shape.starts_with("json") || serde_json::from_str::<Value>(&message).is_ok(),
                    "{message}"
                );
            }
        }
        assert!(MessageSize::between(2, 1).is_err());
    }
}
