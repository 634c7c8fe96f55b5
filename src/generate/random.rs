//! A small generator of pseudo-random numbers whose sequence never changes between releases.
//!
//! It is `SplitMix64`: not secret, not for keys, and the same on every machine.

use std::fmt::Write as _;

/// A sequence that its seed and its name decide.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Starts the sequence called `name` below `seed`. Two names give two unrelated sequences.
    pub(crate) fn named(seed: u64, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Self { state: seed ^ hash.rotate_left(29) };
        random.next();
        random
    }

    /// Returns the next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Is true in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of `choices`; of none, the empty text.
    pub(crate) fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        let index = self.below(choices.len() as u64);
        usize::try_from(index)
            .ok()
            .and_then(|index| choices.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// Appends `digits` (at most 16) hexadecimal digits.
    pub(crate) fn hex(&mut self, digits: usize, out: &mut String) {
        push(
            out,
            format_args!(
                "{:0width$x}",
                self.next() >> (64 - 4 * digits.clamp(1, 16)),
                width = digits
            ),
        );
    }

    /// Appends an identifier in the form of a version 4 UUID.
    pub(crate) fn uuid(&mut self, out: &mut String) {
        let (high, low) = (self.next(), self.next());
        push(
            out,
            format_args!(
                "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                high >> 32,
                (high >> 16) & 0xffff,
                high & 0xfff,
                (low >> 48) & 0x3fff | 0x8000,
                low & 0xffff_ffff_ffff
            ),
        );
    }
}

/// Appends formatted text. A `String` takes everything, so there is no error to report.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        // The reference values of SplitMix64 for the seed 1234567.
        let mut random = Random { state: 1_234_567 };
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn names_and_seeds_give_different_sequences() {
        let first = |seed, name| Random::named(seed, name).next();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::named(7, "range");
        let mut seen = [false; 5];
        for _ in 0..500 {
            let number = random.between(3, 7);
            assert!((3..=7).contains(&number));
            seen[usize::try_from(number - 3).unwrap()] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick(&[]), "");
    }

    #[test]
    fn identifiers_have_their_form() {
        let mut random = Random::named(7, "uuid");
        let (mut uuid, mut hex) = (String::new(), String::new());
        random.uuid(&mut uuid);
        random.hex(10, &mut hex);
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(uuid.split('-').nth(2).unwrap().starts_with('4'));
        assert_eq!(hex.len(), 10);
    }
}
