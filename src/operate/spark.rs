//! Sparklines: a series in one line of text.

use super::metric::Series;

/// From nothing to the largest value of the line.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A stretch without values, which is something else than zero.
const NO_VALUE: char = '·';

/// Draws the series with at most `columns` characters; each stands for the largest value of its stretch. Empty if there
/// is no value at all.
pub fn sparkline(series: &Series, columns: usize) -> String {
    let Some(largest) = series.largest() else { return String::new() };
    let stretch = series.0.len().div_ceil(columns.max(1)).max(1);
    series
        .0
        .chunks(stretch)
        .map(|values| match values.iter().copied().flatten().reduce(f64::max) {
            None => NO_VALUE,
            Some(value) => bar(value, largest),
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 7 fits, and a negative value is drawn as the lowest bar"
)]
fn bar(value: f64, largest: f64) -> char {
    let share = if largest > 0.0 { (value / largest).clamp(0.0, 1.0) } else { 0.0 };
    let index = (share * 7.0).ceil() as usize;
    BARS.get(index).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_show_the_largest_value_of_each_stretch() {
        let some = |values: &[f64]| Series(values.iter().copied().map(Some).collect());
        for (series, columns, expected) in [
            (some(&[0.0, 1.0, 4.0, 8.0]), 4, "▁▂▅█"),
            (some(&[0.0, 0.0]), 4, "▁▁"),
            (some(&[1.0, 8.0, 0.0, 2.0]), 2, "█▃"),
            (Series(vec![Some(3.0), None]), 2, "█·"),
            (Series(vec![None, None]), 2, ""),
            (Series::default(), 2, ""),
        ] {
            assert_eq!(sparkline(&series, columns), expected, "{series:?}");
        }
    }
}
