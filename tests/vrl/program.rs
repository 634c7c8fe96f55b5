//! A compiled VRL program.

use std::collections::BTreeMap;

use vrl::{
    compiler::{Context, Program as Compiled, TargetValue, TimeZone, compile, state::RuntimeState},
    diagnostic::Formatter,
    value::{Secrets, Value},
};

/// A program that can run over events.
pub(crate) struct Program(Compiled);

impl Program {
    /// Compiles `source`; every warning is an error, as unused or unreachable code in a pipeline is a mistake.
    #[track_caller]
    pub(crate) fn compile(source: &str) -> Self {
        match compile(source, &vrl::stdlib::all()) {
            Ok(result) => {
                let warnings = Formatter::new(source, result.warnings.clone()).to_string();
                assert!(result.warnings.is_empty(), "{warnings}");
                Self(result.program)
            }
            Err(diagnostics) => panic!("{}", Formatter::new(source, diagnostics)),
        }
    }

    /// Runs over `event` and returns it as the program left it.
    #[track_caller]
    pub(crate) fn run(&self, event: Value) -> Value {
        let mut target = TargetValue {
            value: event,
            metadata: Value::Object(BTreeMap::new()),
            secrets: Secrets::new(),
        };
        let mut state = RuntimeState::default();
        let zone = TimeZone::parse("UTC").expect("a known zone");
        let mut context = Context::new(&mut target, &mut state, &zone);
        self.0.resolve(&mut context).expect("the program has no way to fail");
        target.value
    }
}
