//! Arithmetic: on `int64` after a lenient conversion, and on decimals for the `…f` functions.

use crate::format;
use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::number;
use crate::value::{Data, List, ListKind, Value};

use Type::{Any, Float, Int, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("atoi", &[Str], |_, args| Ok(atoi(&args.str(0)).into())),
    function("int64", &[Any], |_, args| Ok(int64(to_int64(args.get(0))))),
    function("int", &[Any], |_, args| Ok(to_int64(args.get(0)).into())),
    function("float64", &[Any], |_, args| Ok(to_float64(args.get(0)).into())),
    function("toDecimal", &[Any], |_, args| {
        let text = format::show(args.get(0));
        Ok(int64(parse_octal(&text).unwrap_or(0)))
    }),
    function("add1", &[Any], |_, args| Ok(int64(to_int64(args.get(0)).wrapping_add(1)))),
    function("add", &[], |_, args| Ok(int64(fold(args, 0, 0, i64::wrapping_add)))).rest(Any),
    function("sub", &[Any, Any], |_, args| {
        Ok(int64(to_int64(args.get(0)).wrapping_sub(to_int64(args.get(1)))))
    }),
    function("div", &[Any, Any], |_, args| divide(args, i64::wrapping_div)),
    function("mod", &[Any, Any], |_, args| divide(args, i64::wrapping_rem)),
    function("mul", &[Any], |_, args| Ok(int64(fold(args, 0, 1, i64::wrapping_mul)))).rest(Any),
    function("max", &[Any], |_, args| Ok(int64(fold(args, 0, i64::MIN, i64::max)))).rest(Any),
    function("biggest", &[Any], |_, args| Ok(int64(fold(args, 0, i64::MIN, i64::max)))).rest(Any),
    function("min", &[Any], |_, args| Ok(int64(fold(args, 0, i64::MAX, i64::min)))).rest(Any),
    function("maxf", &[Any], |_, args| Ok(fold_floats(args, go_max).into())).rest(Any),
    function("minf", &[Any], |_, args| Ok(fold_floats(args, go_min).into())).rest(Any),
    function("add1f", &[Any], |_, args| {
        decimals([to_float64(args.get(0)), 1.0].into_iter(), Decimal::add)
    }),
    function("addf", &[], |_, args| {
        let operands = args.rest(0).iter().map(to_float64);
        decimals(std::iter::once(0.0).chain(operands), Decimal::add)
    })
    .rest(Any),
    function("subf", &[Any], |_, args| decimals(args.rest(0).iter().map(to_float64), Decimal::sub))
        .rest(Any),
    function("mulf", &[Any], |_, args| decimals(args.rest(0).iter().map(to_float64), Decimal::mul))
        .rest(Any),
    function("divf", &[Any], |_, args| decimals(args.rest(0).iter().map(to_float64), Decimal::div))
        .rest(Any),
    function("floor", &[Any], |_, args| Ok(to_float64(args.get(0)).floor().into())),
    function("ceil", &[Any], |_, args| Ok(to_float64(args.get(0)).ceil().into())),
    function("round", &[Any, Int], round).rest(Float),
    function("until", &[Int], |context, args| {
        let count = args.int(0);
        until_step(context, 0, count, if count < 0 { -1 } else { 1 })
    }),
    function("untilStep", &[Int, Int, Int], |context, args| {
        until_step(context, args.int(0), args.int(1), args.int(2))
    }),
    function("seq", &[], seq).rest(Int),
];

fn int64(value: i64) -> Value {
    Data::Int64(value).into()
}

/// Sprig's `atoi`: nonsense is 0, and what does not fit is the nearest that does.
fn atoi(text: &str) -> i64 {
    if let Some(value) = number::atoi(text) {
        return value;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    match digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        true if text.starts_with('-') => i64::MIN,
        true => i64::MAX,
        false => 0,
    }
}

fn parse_octal(text: &str) -> Option<i64> {
    i64::from_str_radix(text, 8).ok()
}

/// `cast.ToInt64`: what cannot be converted is 0.
pub(crate) fn to_int64(value: &Value) -> i64 {
    match &value.data {
        Data::Int(int) | Data::Int64(int) => *int,
        Data::Uint(uint) => *uint as i64,
        Data::Byte(byte) => (*byte).into(),
        Data::Float(float) => float_to_int(*float),
        Data::Bool(truth) => (*truth).into(),
        Data::Str(text) => number::parse_int(trim_zero_decimal(&text.to_str())).unwrap_or(0),
        _ => 0,
    }
}

/// Go on amd64: out of range is the smallest integer.
fn float_to_int(float: f64) -> i64 {
    let fits = float > i64::MIN as f64 && float < i64::MAX as f64;
    if fits { float as i64 } else { i64::MIN }
}

/// Cuts off `.0`, `.00`, ….
fn trim_zero_decimal(text: &str) -> &str {
    let zeros = text.trim_end_matches('0');
    match zeros.strip_suffix('.') {
        Some(whole) if zeros.len() < text.len() => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`: what cannot be converted is 0.
pub(crate) fn to_float64(value: &Value) -> f64 {
    match &value.data {
        Data::Float(float) => *float,
        Data::Int(int) | Data::Int64(int) => *int as f64,
        Data::Uint(uint) => *uint as f64,
        Data::Byte(byte) => (*byte).into(),
        Data::Bool(truth) => f64::from(u8::from(*truth)),
        Data::Str(text) => number::parse_float(&text.to_str()).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn fold(args: &Args<'_>, from: usize, start: i64, combine: fn(i64, i64) -> i64) -> i64 {
    args.rest(from).iter().map(to_int64).fold(start, combine)
}

fn fold_floats(args: &Args<'_>, combine: fn(f64, f64) -> f64) -> f64 {
    args.rest(0).iter().map(to_float64).reduce(combine).unwrap_or(0.0)
}

fn go_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn go_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn divide(args: &Args<'_>, divide: fn(i64, i64) -> i64) -> Result<Value, Fail> {
    let (a, b) = (to_int64(args.get(0)), to_int64(args.get(1)));
    if b == 0 {
        return Err("runtime error: integer divide by zero".into());
    }
    Ok(int64(divide(a, b)))
}

fn round(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let value = to_float64(args.get(0));
    let round_on = if args.len() > 2 { args.float(2) } else { 0.5 };
    let power = 10_f64.powi(i32::try_from(args.int(1)).unwrap_or(i32::MAX));
    let digit = power * value;
    let rounded = if digit.fract() >= round_on { digit.ceil() } else { digit.floor() };
    Ok((rounded / power).into())
}

fn steps(start: i64, stop: i64, step: i64) -> impl Iterator<Item = i64> {
    let up = stop >= start;
    let runs = if up { step > 0 } else { step < 0 };
    let mut next = runs.then_some(start);
    std::iter::from_fn(move || {
        let current = next.filter(|value| if up { *value < stop } else { *value > stop })?;
        next = current.checked_add(step);
        Some(current)
    })
}

/// How many steps there are, without walking them.
fn step_count(start: i64, stop: i64, step: i64) -> usize {
    let distance = i128::from(stop) - i128::from(start);
    if step == 0 || (distance < 0) != (step < 0) {
        return 0;
    }
    let count = distance.unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn until_step(context: &mut Context, start: i64, stop: i64, step: i64) -> Result<Value, Fail> {
    context.budget.spend_list(step_count(start, stop, step))?;
    Ok(List::new(ListKind::Int, steps(start, stop, step).map(Value::from).collect()).into())
}

fn seq(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let (start, stop, step) = match args.len() {
        1 => {
            let end = args.int(0);
            let step = if end < 1 { -1 } else { 1 };
            (1, end.saturating_add(step), step)
        }
        2 => {
            let (start, end) = (args.int(0), args.int(1));
            let step = if end < start { -1 } else { 1 };
            (start, end.saturating_add(step), step)
        }
        3 => {
            let (start, step, end) = (args.int(0), args.int(1), args.int(2));
            if end < start && step > 0 {
                return Ok("".into());
            }
            (start, end.saturating_add(if end < start { -1 } else { 1 }), step)
        }
        _ => return Ok("".into()),
    };
    context.budget.spend_list(step_count(start, stop, step))?;
    let numbers: Vec<String> = steps(start, stop, step).map(|number| number.to_string()).collect();
    Ok(numbers.join(" ").into())
}

// Decimals.

/// A decimal number as the `decimal` package has it: exact sums and products, quotients to 16
/// digits after the point. Wide enough for what floats of ordinary size need.
#[derive(Clone, Copy)]
struct Decimal {
    mantissa: i128,
    /// Digits after the point.
    scale: u32,
}

impl Decimal {
    /// The shortest decimal that reads back as this float.
    fn from_float(value: f64) -> Option<Self> {
        let text = number::format_float(value, 'f', None);
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { mantissa, scale: u32::try_from(fraction.len()).ok()? })
    }

    fn to_float(self) -> f64 {
        format!("{}e-{}", self.mantissa, self.scale).parse().unwrap_or(0.0)
    }

    fn at_scale(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }

    fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.at_scale(scale)?.checked_add(other.at_scale(scale)?)?;
        Some(Self { mantissa, scale })
    }

    fn sub(self, other: Self) -> Option<Self> {
        self.add(Self { mantissa: -other.mantissa, ..other })
    }

    fn mul(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, scale: self.scale.checked_add(other.scale)? })
    }

    /// Rounds half away from zero at 16 digits.
    fn div(self, other: Self) -> Option<Self> {
        const DIGITS: u32 = 16;
        let shift = (DIGITS + other.scale).checked_sub(self.scale)?;
        let dividend = self.mantissa.checked_mul(10_i128.checked_pow(shift)?)?;
        let quotient = dividend.checked_div(other.mantissa)?;
        let remainder = dividend.checked_rem(other.mantissa)?;
        let away = remainder.unsigned_abs().checked_mul(2)? >= other.mantissa.unsigned_abs();
        let sign = if (dividend < 0) == (other.mantissa < 0) { 1 } else { -1 };
        Some(Self { mantissa: quotient + if away { sign } else { 0 }, scale: DIGITS })
    }
}

fn decimals(
    mut operands: impl Iterator<Item = f64>,
    combine: fn(Decimal, Decimal) -> Option<Decimal>,
) -> Result<Value, Fail> {
    const TOO_WIDE: &str = "number out of range for decimal arithmetic";
    let is_division =
        std::ptr::fn_addr_eq(combine, Decimal::div as fn(Decimal, Decimal) -> Option<Decimal>);
    let mut next = || match operands.next() {
        None => Ok(None),
        Some(float) if !float.is_finite() => {
            let shown = number::format_float(float, 'g', None);
            Err(Fail::from(format!("Cannot create a Decimal from {shown}")))
        }
        Some(float) => Decimal::from_float(float).map(Some).ok_or(Fail::from(TOO_WIDE)),
    };
    let Some(mut result) = next()? else { return Ok(0.0.into()) };
    while let Some(operand) = next()? {
        if is_division && operand.mantissa == 0 {
            return Err("decimal division by 0".into());
        }
        result = combine(result, operand).ok_or(TOO_WIDE)?;
    }
    Ok(result.to_float().into())
}
