//! What was measured: a row for each figure, a cell for each program.

use crate::tool::Tool;

/// One figure of one program.
#[derive(Debug, Clone)]
pub enum Cell {
    Value(f64),
    /// Not measured, for this reason.
    Missing(String),
}

impl From<Result<f64, String>> for Cell {
    fn from(result: Result<f64, String>) -> Self {
        result.map_or_else(Self::Missing, Self::Value)
    }
}

impl Cell {
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(*value),
            Self::Missing(_) => None,
        }
    }
}

/// How a figure is compared with that of the first program, which is the measure of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ratio {
    /// The figure is divided by that of the first.
    Plain,
    /// That of the first is divided by the figure. Here more is better, and 2 means twice the cost
    /// as well.
    Inverse,
    /// There is no ratio: the figure is a count that is best at zero, or an option sets it.
    None,
}

/// What a figure is.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    pub key: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub decimals: usize,
    pub ratio: Ratio,
}

/// Returns a figure that is a whole number.
pub const fn figure(
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    ratio: Ratio,
) -> Figure {
    Figure {
        key,
        title,
        unit,
        decimals: 0,
        ratio,
    }
}

/// A figure with the cells of all programs.
#[derive(Debug, Clone)]
pub struct Row {
    pub figure: Figure,
    pub cells: Vec<Cell>,
}

impl Row {
    pub fn ratio(&self, index: usize) -> Option<f64> {
        let first = self.cells.first()?.value().filter(|first| *first > 0.0)?;
        let value = self.cells.get(index)?.value()?;
        match self.figure.ratio {
            Ratio::Plain => Some(value / first),
            Ratio::Inverse if value > 0.0 => Some(first / value),
            Ratio::Inverse | Ratio::None => None,
        }
    }
}

/// The figures of programs that do the same work.
#[derive(Debug)]
pub struct Sheet {
    /// What these programs are.
    pub of: &'static str,
    /// What a reader needs to know about all figures.
    pub note: &'static str,
    /// The programs. The first is the measure of all others.
    pub tools: Vec<Tool>,
    pub rows: Vec<Row>,
}

impl Sheet {
    pub fn new(of: &'static str, note: &'static str, tools: Vec<Tool>) -> Self {
        Self {
            of,
            note,
            tools,
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, figure: Figure, cells: Vec<Cell>) {
        self.rows.push(Row { figure, cells });
    }

    pub fn row(&self, key: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.figure.key == key)
    }
}

/// Returns the value below which this part of the samples lies. With 0.5, it is the median. `None`
/// means that there are no samples.
pub fn quantile(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied()
}

/// Returns the quantile of each program's samples, or the reason why there are none.
pub fn quantiles(samples: &[Result<Vec<f64>, String>], part: f64) -> Vec<Cell> {
    let one = |samples: &Result<Vec<f64>, String>| match samples {
        Ok(samples) => quantile(samples, part).ok_or_else(|| "no sample".to_owned()),
        Err(reason) => Err(reason.clone()),
    };
    samples.iter().map(|samples| one(samples).into()).collect()
}
