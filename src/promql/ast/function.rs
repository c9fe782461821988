//! Functions of the language, with the types of their arguments and results.
//!
//! Source: Prometheus's `promql/parser/functions.go`.

use crate::promql::ast::value_type::ValueType;
use crate::promql::ast::value_type::ValueType::{InstantVector, RangeVector, Scalar, String};

/// Types of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name.
    pub name: &'static str,
    /// Types of the arguments. Further arguments have the last type.
    pub args: &'static [ValueType],
    /// Number of arguments in addition to all of `args` but the last; 0 = exactly `args`, negative
    /// = any number.
    pub variadic: i32,
    /// Type of the result.
    pub returns: ValueType,
    /// Whether the function must be enabled.
    pub is_experimental: bool,
}

/// Defines the enum of all functions and the table of their signatures, both in the given order,
/// which is that of the names.
macro_rules! functions {
    ($($variant:ident: $name:literal, [$($arg:ident),*], $variadic:literal, $returns:ident,
       $is_experimental:literal;)*) => {
        /// Function of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are those of the language")]
        pub enum Function {
            $($variant,)*
        }

        impl Function {
            /// All functions, ascending by name.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        /// Signatures in the order of [`Function::ALL`].
        const SIGNATURES: &[Signature] = &[$(Signature {
            name: $name,
            args: &[$($arg),*],
            variadic: $variadic,
            returns: $returns,
            is_experimental: $is_experimental,
        },)*];
    };
}

functions! {
    Abs: "abs", [InstantVector], 0, InstantVector, false;
    Absent: "absent", [InstantVector], 0, InstantVector, false;
    AbsentOverTime: "absent_over_time", [RangeVector], 0, InstantVector, false;
    Acos: "acos", [InstantVector], 0, InstantVector, false;
    Acosh: "acosh", [InstantVector], 0, InstantVector, false;
    Asin: "asin", [InstantVector], 0, InstantVector, false;
    Asinh: "asinh", [InstantVector], 0, InstantVector, false;
    Atan: "atan", [InstantVector], 0, InstantVector, false;
    Atanh: "atanh", [InstantVector], 0, InstantVector, false;
    AvgOverTime: "avg_over_time", [RangeVector], 0, InstantVector, false;
    Ceil: "ceil", [InstantVector], 0, InstantVector, false;
    Changes: "changes", [RangeVector], 0, InstantVector, false;
    Clamp: "clamp", [InstantVector, Scalar, Scalar], 0, InstantVector, false;
    ClampMax: "clamp_max", [InstantVector, Scalar], 0, InstantVector, false;
    ClampMin: "clamp_min", [InstantVector, Scalar], 0, InstantVector, false;
    Cos: "cos", [InstantVector], 0, InstantVector, false;
    Cosh: "cosh", [InstantVector], 0, InstantVector, false;
    CountOverTime: "count_over_time", [RangeVector], 0, InstantVector, false;
    DayOfMonth: "day_of_month", [InstantVector], 1, InstantVector, false;
    DayOfWeek: "day_of_week", [InstantVector], 1, InstantVector, false;
    DayOfYear: "day_of_year", [InstantVector], 1, InstantVector, false;
    DaysInMonth: "days_in_month", [InstantVector], 1, InstantVector, false;
    Deg: "deg", [InstantVector], 0, InstantVector, false;
    Delta: "delta", [RangeVector], 0, InstantVector, false;
    Deriv: "deriv", [RangeVector], 0, InstantVector, false;
    DoubleExponentialSmoothing: "double_exponential_smoothing", [RangeVector, Scalar, Scalar], 0, InstantVector, true;
    End: "end", [], 0, Scalar, true;
    Exp: "exp", [InstantVector], 0, InstantVector, false;
    FirstOverTime: "first_over_time", [RangeVector], 0, InstantVector, false;
    Floor: "floor", [InstantVector], 0, InstantVector, false;
    HistogramAvg: "histogram_avg", [InstantVector], 0, InstantVector, false;
    HistogramCount: "histogram_count", [InstantVector], 0, InstantVector, false;
    HistogramFraction: "histogram_fraction", [Scalar, Scalar, InstantVector], 0, InstantVector, false;
    HistogramQuantile: "histogram_quantile", [Scalar, InstantVector], 0, InstantVector, false;
    HistogramQuantiles: "histogram_quantiles", [InstantVector, String, Scalar, Scalar], 9, InstantVector, true;
    HistogramStddev: "histogram_stddev", [InstantVector], 0, InstantVector, false;
    HistogramStdvar: "histogram_stdvar", [InstantVector], 0, InstantVector, false;
    HistogramSum: "histogram_sum", [InstantVector], 0, InstantVector, false;
    Hour: "hour", [InstantVector], 1, InstantVector, false;
    Idelta: "idelta", [RangeVector], 0, InstantVector, false;
    Increase: "increase", [RangeVector], 0, InstantVector, false;
    Info: "info", [InstantVector, InstantVector], 1, InstantVector, true;
    Irate: "irate", [RangeVector], 0, InstantVector, false;
    LabelJoin: "label_join", [InstantVector, String, String, String], -1, InstantVector, false;
    LabelReplace: "label_replace", [InstantVector, String, String, String, String], 0, InstantVector, false;
    LastOverTime: "last_over_time", [RangeVector], 0, InstantVector, false;
    Ln: "ln", [InstantVector], 0, InstantVector, false;
    Log10: "log10", [InstantVector], 0, InstantVector, false;
    Log2: "log2", [InstantVector], 0, InstantVector, false;
    MadOverTime: "mad_over_time", [RangeVector], 0, InstantVector, true;
    MaxOf: "max_of", [Scalar, Scalar], 0, Scalar, true;
    MaxOverTime: "max_over_time", [RangeVector], 0, InstantVector, false;
    MinOf: "min_of", [Scalar, Scalar], 0, Scalar, true;
    MinOverTime: "min_over_time", [RangeVector], 0, InstantVector, false;
    Minute: "minute", [InstantVector], 1, InstantVector, false;
    Month: "month", [InstantVector], 1, InstantVector, false;
    Pi: "pi", [], 0, Scalar, false;
    PredictLinear: "predict_linear", [RangeVector, Scalar], 0, InstantVector, false;
    PresentOverTime: "present_over_time", [RangeVector], 0, InstantVector, false;
    QuantileOverTime: "quantile_over_time", [Scalar, RangeVector], 0, InstantVector, false;
    Rad: "rad", [InstantVector], 0, InstantVector, false;
    Range: "range", [], 0, Scalar, true;
    Rate: "rate", [RangeVector], 0, InstantVector, false;
    Resets: "resets", [RangeVector], 0, InstantVector, false;
    Round: "round", [InstantVector, Scalar], 1, InstantVector, false;
    Scalar: "scalar", [InstantVector], 0, Scalar, false;
    Sgn: "sgn", [InstantVector], 0, InstantVector, false;
    Sin: "sin", [InstantVector], 0, InstantVector, false;
    Sinh: "sinh", [InstantVector], 0, InstantVector, false;
    Sort: "sort", [InstantVector], 0, InstantVector, false;
    SortByLabel: "sort_by_label", [InstantVector, String], -1, InstantVector, true;
    SortByLabelDesc: "sort_by_label_desc", [InstantVector, String], -1, InstantVector, true;
    SortDesc: "sort_desc", [InstantVector], 0, InstantVector, false;
    Sqrt: "sqrt", [InstantVector], 0, InstantVector, false;
    Start: "start", [], 0, Scalar, true;
    StartTimestamp: "start_timestamp", [InstantVector], 0, InstantVector, true;
    StddevOverTime: "stddev_over_time", [RangeVector], 0, InstantVector, false;
    StdvarOverTime: "stdvar_over_time", [RangeVector], 0, InstantVector, false;
    Step: "step", [], 0, Scalar, true;
    SumOverTime: "sum_over_time", [RangeVector], 0, InstantVector, false;
    Tan: "tan", [InstantVector], 0, InstantVector, false;
    Tanh: "tanh", [InstantVector], 0, InstantVector, false;
    Time: "time", [], 0, Scalar, false;
    Timestamp: "timestamp", [InstantVector], 0, InstantVector, false;
    TsOfFirstOverTime: "ts_of_first_over_time", [RangeVector], 0, InstantVector, true;
    TsOfLastOverTime: "ts_of_last_over_time", [RangeVector], 0, InstantVector, true;
    TsOfMaxOverTime: "ts_of_max_over_time", [RangeVector], 0, InstantVector, true;
    TsOfMinOverTime: "ts_of_min_over_time", [RangeVector], 0, InstantVector, true;
    Vector: "vector", [Scalar], 0, InstantVector, false;
    Year: "year", [InstantVector], 1, InstantVector, false;
}

impl Function {
    /// Returns the function with this name. Names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let at = SIGNATURES.binary_search_by(|signature| signature.name.cmp(name)).ok()?;
        Self::ALL.get(at).copied()
    }

    /// Returns name and types.
    #[must_use]
    pub fn signature(self) -> &'static Signature {
        &SIGNATURES[self as usize]
    }
}

impl Signature {
    /// Returns the type of the argument at an index; `None` if the function has no such argument.
    #[must_use]
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        let further = if self.variadic == 0 { None } else { self.args.last() };
        self.args.get(index).or(further).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, SIGNATURES};
    use crate::promql::ast::value_type::ValueType::{Scalar, String};

    #[test]
    fn functions_are_sorted_and_found_by_name() {
        assert_eq!((Function::ALL.len(), SIGNATURES.len()), (90, 90));
        assert!(SIGNATURES.is_sorted_by(|a, b| a.name < b.name));
        for &function in Function::ALL {
            assert_eq!(Function::from_name(function.signature().name), Some(function));
        }
        assert_eq!(Function::from_name("Rate"), None);
        assert_eq!(Function::from_name("integral"), None);
    }

    #[test]
    fn further_arguments_have_the_last_type() {
        let join = Function::LabelJoin.signature();
        assert_eq!((join.arg_type(3), join.arg_type(30)), (Some(String), Some(String)));
        assert_eq!(Function::Clamp.signature().arg_type(2), Some(Scalar));
        assert_eq!(Function::Clamp.signature().arg_type(3), None);
        assert_eq!(Function::Pi.signature().arg_type(0), None);
    }
}
