//! Dates. The clock is what the caller says it is; "local" time is UTC.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::value::{Data, Value};

use Type::{Any, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("now", &[], |context, _| Ok(now(context)?.into())),
    function("date", &[Str, Any], |context, args| {
        in_zone(context, &args.str(0), args.get(1), "UTC")
    }),
    function("dateInZone", &[Str, Any, Str], |context, args| {
        in_zone(context, &args.str(0), args.get(1), &args.str(2))
    }),
    function("date_in_zone", &[Str, Any, Str], |context, args| {
        in_zone(context, &args.str(0), args.get(1), &args.str(2))
    }),
    function("htmlDate", &[Any], |context, args| {
        in_zone(context, "2006-01-02", args.get(0), "UTC")
    }),
    function("htmlDateInZone", &[Any, Str], |context, args| {
        in_zone(context, "2006-01-02", args.get(0), &args.str(1))
    }),
    function("dateModify", &[Str, Type::Time], |_, args| modify(args, true)),
    function("date_modify", &[Str, Type::Time], |_, args| modify(args, true)),
    function("mustDateModify", &[Str, Type::Time], |_, args| modify(args, false)),
    function("must_date_modify", &[Str, Type::Time], |_, args| modify(args, false)),
    function("ago", &[Any], |context, args| {
        let then = time_of(context, args.get(0))?;
        let elapsed = now(context)?.0.timestamp().duration_since(then.0.timestamp());
        let seconds = elapsed.as_secs() + i64::from(elapsed.subsec_millis() >= 500);
        Ok(duration_text(i128::from(seconds) * NANOS).into())
    }),
    function("duration", &[Any], |_, args| {
        let seconds = match &args.get(0).data {
            Data::Str(text) => text.to_str().parse::<i64>().unwrap_or(0),
            Data::Int64(seconds) => *seconds,
            _ => 0,
        };
        Ok(duration_text(i128::from(seconds.wrapping_mul(1_000_000_000))).into())
    }),
    function("durationRound", &[Any], duration_round),
    function("toDate", &[Str, Str], |_, args| {
        let parsed = layout::parse(&args.str(0), &args.str(1));
        Ok(parsed.unwrap_or_else(|_| Time::zero()).into())
    }),
    function("mustToDate", &[Str, Str], |_, args| {
        Ok(layout::parse(&args.str(0), &args.str(1))?.into())
    }),
    function("unixEpoch", &[Type::Time], |_, args| match &args.get(0).data {
        Data::Time(time) => Ok(time.0.timestamp().as_second().to_string().into()),
        _ => Ok("".into()),
    }),
];

const NANOS: i128 = 1_000_000_000;

/// A moment in a time zone: Go's `time.Time`.
#[derive(Clone, PartialEq)]
pub(crate) struct Time(Box<Zoned>);

impl Time {
    fn at(seconds: i64) -> Result<Self, Fail> {
        let timestamp = Timestamp::from_second(seconds).map_err(|_| "time out of range")?;
        Ok(Self(Box::new(timestamp.to_zoned(TimeZone::UTC))))
    }

    /// Go's zero time: the start of year 1.
    fn zero() -> Self {
        let start = Date::constant(1, 1, 1).to_zoned(TimeZone::UTC);
        Self(Box::new(start.unwrap_or_else(|_| Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC))))
    }

    /// `time.RFC3339Nano`, as JSON has it.
    pub(crate) fn rfc3339(&self) -> String {
        layout::format("2006-01-02T15:04:05.999999999Z07:00", &self.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout::format("2006-01-02 15:04:05.999999999 -0700 MST", &self.0))
    }
}

impl From<Time> for Value {
    fn from(time: Time) -> Self {
        Data::Time(time).into()
    }
}

fn now(context: &Context) -> Result<Time, Fail> {
    let seconds = context.now.ok_or("the current time is not available to this template")?;
    Time::at(seconds)
}

/// Sprig takes times and Unix seconds; for everything else it uses the current time.
fn time_of(context: &Context, value: &Value) -> Result<Time, Fail> {
    match &value.data {
        Data::Time(time) => Ok(time.clone()),
        Data::Int(seconds) | Data::Int64(seconds) => Time::at(*seconds),
        _ => now(context),
    }
}

fn in_zone(context: &Context, format: &str, value: &Value, zone: &str) -> Result<Value, Fail> {
    let time = time_of(context, value)?;
    let zone = match zone {
        "" | "UTC" | "Local" => TimeZone::UTC,
        // Go falls back to UTC as well.
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    Ok(layout::format(format, &time.0.with_time_zone(zone)).into())
}

fn modify(args: &Args<'_>, lenient: bool) -> Result<Value, Fail> {
    let Data::Time(time) = &args.get(1).data else { return Ok(args.get(1).clone()) };
    let nanos = match parse_duration(&args.str(0)) {
        Ok(nanos) => nanos,
        Err(_) if lenient => return Ok(args.get(1).clone()),
        Err(message) => return Err(message.into()),
    };
    let moved =
        time.0.checked_add(SignedDuration::from_nanos(nanos)).map_err(|_| "time out of range")?;
    Ok(Time(Box::new(moved)).into())
}

fn duration_round(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let nanos = match &args.get(0).data {
        Data::Str(text) => parse_duration(&text.to_str()).unwrap_or(0),
        Data::Int64(nanos) => *nanos,
        Data::Time(then) => {
            let elapsed = now(context)?.0.timestamp().duration_since(then.0.timestamp());
            i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
        }
        _ => 0,
    };
    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3600 * SECOND;
    let units = [
        (365 * 24 * HOUR, "y"),
        (30 * 24 * HOUR, "mo"),
        (24 * HOUR, "d"),
        (HOUR, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    let nanos = nanos.unsigned_abs();
    let unit = units.into_iter().find(|(size, _)| nanos > *size);
    Ok(unit.map_or("0s".into(), |(size, name)| format!("{}{name}", nanos / size)).into())
}

/// Go's `time.ParseDuration`, in nanoseconds.
fn parse_duration(text: &str) -> Result<i64, String> {
    let shown = || crate::quote::quote(text.as_bytes());
    let invalid = || format!("time: invalid duration {}", shown());
    let (negative, mut rest) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
        [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_f64;
    let mut exact = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end).unwrap_or((after, ""));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", shown()));
        }
        let size: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS,
            "m" => 60 * NANOS,
            "h" => 3600 * NANOS,
            _ => {
                let unit = crate::quote::quote(unit.as_bytes());
                return Err(format!("time: unknown unit {unit} in duration {}", shown()));
            }
        };
        let whole: i128 =
            if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        exact = exact.saturating_add(whole.saturating_mul(size));
        if !fraction.is_empty() {
            total += format!("0.{fraction}").parse::<f64>().unwrap_or(0.0) * size as f64;
        }
        rest = after;
    }
    let nanos = exact.saturating_add(total as i128);
    let nanos = if negative { -nanos } else { nanos };
    i64::try_from(nanos).map_err(|_| invalid())
}

/// Go's `Duration.String`.
fn duration_text(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".into();
    }
    let second = NANOS.unsigned_abs();
    if nanos < second {
        let (size, unit) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{unit}", fraction_text(nanos, size));
    }
    let seconds = nanos / second;
    let rest = fraction_text(nanos % (60 * second), second);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, minutes) => format!("{sign}{minutes}m{rest}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

fn fraction_text(value: u128, size: u128) -> String {
    let digits = size.ilog10() as usize;
    if value.is_multiple_of(size) {
        return (value / size).to_string();
    }
    let fraction = format!("{:0digits$}", value % size);
    format!("{}.{}", value / size, fraction.trim_end_matches('0'))
}

/// The methods a template may call on a time; `None` if there is no such method.
pub(crate) fn method(time: &Time, name: &str, args: &Args<'_>) -> Option<Result<Value, String>> {
    let zoned = &time.0;
    let int = |value: i64| Ok(Value::from(value));
    Some(match name {
        "Unix" => Ok(Data::Int64(zoned.timestamp().as_second()).into()),
        "UnixNano" => {
            Ok(Data::Int64(i64::try_from(zoned.timestamp().as_nanosecond()).unwrap_or(0)).into())
        }
        "UnixMilli" => Ok(Data::Int64(zoned.timestamp().as_millisecond()).into()),
        "Year" => int(zoned.year().into()),
        "Day" => int(zoned.day().into()),
        "YearDay" => int(zoned.day_of_year().into()),
        "Hour" => int(zoned.hour().into()),
        "Minute" => int(zoned.minute().into()),
        "Second" => int(zoned.second().into()),
        "Nanosecond" => int(zoned.subsec_nanosecond().into()),
        "Month" => Ok(layout::format("January", zoned).into()),
        "Weekday" => Ok(layout::format("Monday", zoned).into()),
        "UTC" | "Local" => Ok(Time(Box::new(zoned.with_time_zone(TimeZone::UTC))).into()),
        "String" => Ok(time.to_string().into()),
        "IsZero" => Ok((*time == Time::zero()).into()),
        "Format" => Ok(layout::format(&args.str(0), zoned).into()),
        _ => return None,
    })
}

/// Returns whether a text is a time in the given layout.
pub(crate) fn parses(layout: &str, text: &str) -> bool {
    layout::parse(layout, text).is_ok()
}

/// Go's time layouts, written as the reference time Mon Jan 2 15:04:05 MST 2006.
mod layout {
    use super::{Date, Offset, Time, TimeZone, Zoned};

    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

    /// One element of a layout.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Element {
        LongMonth,
        Month,
        NumMonth,
        ZeroMonth,
        LongWeekday,
        Weekday,
        Day,
        SpaceDay,
        ZeroDay,
        SpaceYearDay,
        ZeroYearDay,
        Hour,
        Hour12,
        ZeroHour12,
        Minute,
        ZeroMinute,
        Second,
        ZeroSecond,
        LongYear,
        Year,
        UpperPm,
        LowerPm,
        ZoneName,
        /// A numeric offset: `Z` for zero, parts shown, colons.
        Offset {
            z: bool,
            parts: u8,
            colons: bool,
        },
        /// `.000` or `.999`, with the separator it was written with.
        Fraction {
            digits: u8,
            trim: bool,
            separator: char,
        },
    }

    const ELEMENTS: &[(&str, Element)] = &[
        ("January", Element::LongMonth),
        ("Jan", Element::Month),
        ("Monday", Element::LongWeekday),
        ("Mon", Element::Weekday),
        ("MST", Element::ZoneName),
        ("002", Element::ZeroYearDay),
        ("01", Element::ZeroMonth),
        ("02", Element::ZeroDay),
        ("03", Element::ZeroHour12),
        ("04", Element::ZeroMinute),
        ("05", Element::ZeroSecond),
        ("06", Element::Year),
        ("15", Element::Hour),
        ("1", Element::NumMonth),
        ("2006", Element::LongYear),
        ("2", Element::Day),
        ("__2", Element::SpaceYearDay),
        ("_2", Element::SpaceDay),
        ("3", Element::Hour12),
        ("4", Element::Minute),
        ("5", Element::Second),
        ("PM", Element::UpperPm),
        ("pm", Element::LowerPm),
        ("-070000", Element::Offset { z: false, parts: 3, colons: false }),
        ("-07:00:00", Element::Offset { z: false, parts: 3, colons: true }),
        ("-0700", Element::Offset { z: false, parts: 2, colons: false }),
        ("-07:00", Element::Offset { z: false, parts: 2, colons: true }),
        ("-07", Element::Offset { z: false, parts: 1, colons: false }),
        ("Z070000", Element::Offset { z: true, parts: 3, colons: false }),
        ("Z07:00:00", Element::Offset { z: true, parts: 3, colons: true }),
        ("Z0700", Element::Offset { z: true, parts: 2, colons: false }),
        ("Z07:00", Element::Offset { z: true, parts: 2, colons: true }),
        ("Z07", Element::Offset { z: true, parts: 1, colons: false }),
    ];

    /// Finds the first element: what is before it, the element, what is after it.
    fn next(layout: &str) -> Option<(&str, Element, &str)> {
        for (at, _) in layout.char_indices() {
            let rest = layout.get(at..).unwrap_or_default();
            let before = layout.get(..at).unwrap_or_default();
            if let Some((element, length)) = fraction(rest) {
                return Some((before, element, rest.get(length..).unwrap_or_default()));
            }
            if rest.starts_with("_2006") {
                let before = layout.get(..at + 1).unwrap_or_default();
                return Some((before, Element::LongYear, rest.get(5..).unwrap_or_default()));
            }
            let found = ELEMENTS.iter().find(|(text, element)| {
                let matches = rest.starts_with(text);
                // "Jan" and "Mon" must not be the start of another word.
                let after = rest.get(text.len()..).and_then(|after| after.chars().next());
                let word = matches!(element, Element::Month | Element::Weekday);
                matches && !(word && after.is_some_and(|c| c.is_ascii_lowercase()))
            });
            if let Some((text, element)) = found {
                return Some((before, *element, rest.get(text.len()..).unwrap_or_default()));
            }
        }
        None
    }

    fn fraction(rest: &str) -> Option<(Element, usize)> {
        let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
        let digit = rest.chars().nth(1).filter(|c| matches!(c, '0' | '9'))?;
        let run = rest.chars().skip(1).take_while(|c| *c == digit).count();
        let after = rest.get(1 + run..).and_then(|after| after.chars().next());
        if after.is_some_and(|c| c.is_ascii_digit()) {
            return None;
        }
        let digits = u8::try_from(run).ok()?;
        Some((Element::Fraction { digits, trim: digit == '9', separator }, 1 + run))
    }

    fn name(names: &'static [&'static str], index: i8) -> &'static str {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("")
    }

    pub(super) fn format(layout: &str, time: &Zoned) -> String {
        let mut out = String::new();
        let mut rest = layout;
        while let Some((before, element, after)) = next(rest) {
            out.push_str(before);
            write(&mut out, element, time);
            rest = after;
        }
        out + rest
    }

    fn short(name: &str) -> &str {
        name.get(..3).unwrap_or(name)
    }

    fn write(out: &mut String, element: Element, time: &Zoned) {
        let month = name(&MONTHS, time.month() - 1);
        let weekday = name(&DAYS, time.weekday().to_sunday_zero_offset());
        let hour12 = (time.hour() + 11) % 12 + 1;
        let text = match element {
            Element::LongMonth => month.into(),
            Element::Month => short(month).into(),
            Element::NumMonth => time.month().to_string(),
            Element::ZeroMonth => format!("{:02}", time.month()),
            Element::LongWeekday => weekday.into(),
            Element::Weekday => short(weekday).into(),
            Element::Day => time.day().to_string(),
            Element::SpaceDay => format!("{:2}", time.day()),
            Element::ZeroDay => format!("{:02}", time.day()),
            Element::SpaceYearDay => format!("{:3}", time.day_of_year()),
            Element::ZeroYearDay => format!("{:03}", time.day_of_year()),
            Element::Hour => format!("{:02}", time.hour()),
            Element::Hour12 => hour12.to_string(),
            Element::ZeroHour12 => format!("{hour12:02}"),
            Element::Minute => time.minute().to_string(),
            Element::ZeroMinute => format!("{:02}", time.minute()),
            Element::Second => time.second().to_string(),
            Element::ZeroSecond => format!("{:02}", time.second()),
            Element::LongYear => format!("{:04}", time.year()),
            Element::Year => format!("{:02}", time.year().rem_euclid(100)),
            Element::UpperPm => if time.hour() >= 12 { "PM" } else { "AM" }.into(),
            Element::LowerPm => if time.hour() >= 12 { "pm" } else { "am" }.into(),
            Element::ZoneName => {
                let info = time.time_zone().to_offset_info(time.timestamp());
                info.abbreviation().to_owned()
            }
            Element::Offset { z, parts, colons } => offset(time.offset(), z, parts, colons),
            Element::Fraction { digits, trim, separator } => {
                let nanos = format!("{:09}", time.subsec_nanosecond());
                let shown = nanos.get(..usize::from(digits.min(9))).unwrap_or(&nanos);
                let shown = if trim { shown.trim_end_matches('0') } else { shown };
                if shown.is_empty() { String::new() } else { format!("{separator}{shown}") }
            }
        };
        out.push_str(&text);
    }

    fn offset(offset: Offset, z: bool, parts: u8, colons: bool) -> String {
        let seconds = offset.seconds();
        if z && seconds == 0 {
            return "Z".into();
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let seconds = seconds.abs();
        let colon = if colons { ":" } else { "" };
        let mut out = format!("{sign}{:02}", seconds / 3600);
        if parts > 1 {
            out.push_str(&format!("{colon}{:02}", seconds / 60 % 60));
        }
        if parts > 2 {
            out.push_str(&format!("{colon}{:02}", seconds % 60));
        }
        out
    }

    /// What has been read so far.
    struct Reading {
        year: i16,
        month: i8,
        day: i8,
        year_day: Option<i16>,
        hour: i8,
        pm: Option<bool>,
        minute: i8,
        second: i8,
        nanos: i32,
        zone: Option<TimeZone>,
    }

    /// Go's `time.Parse`, in UTC unless the text names a zone.
    pub(super) fn parse(layout: &str, text: &str) -> Result<Time, String> {
        let quoted = |text: &str| crate::quote::quote(text.as_bytes());
        let mut reading = Reading {
            year: 0,
            month: 1,
            day: 1,
            year_day: None,
            hour: 0,
            pm: None,
            minute: 0,
            second: 0,
            nanos: 0,
            zone: None,
        };
        let failed = |value: &str, element: &str| {
            let (layout, whole) = (quoted(layout), quoted(text));
            let (value, element) = (quoted(value), quoted(element));
            format!("parsing time {whole} as {layout}: cannot parse {value} as {element}")
        };
        let out_of_range =
            |what: &str| format!("parsing time {}: {what} out of range", quoted(text));
        let mut rest_layout = layout;
        let mut value = text;
        loop {
            let (before, element, after) = match next(rest_layout) {
                Some((before, element, after)) => (before, Some(element), after),
                None => (rest_layout, None, ""),
            };
            value = skip(value, before).map_err(|()| failed(value, before))?;
            let Some(element) = element else {
                if !value.is_empty() {
                    let (whole, extra) = (quoted(text), quoted(value));
                    return Err(format!("parsing time {whole}: extra text: {extra}"));
                }
                break;
            };
            let start = rest_layout.len() - before.len() - after.len();
            let shown = rest_layout.get(before.len()..before.len() + start).unwrap_or_default();
            match read(&mut reading, element, value, after) {
                Ok(rest) => value = rest,
                Err(Problem::Syntax) => return Err(failed(value, shown)),
                Err(Problem::Range(what)) => return Err(out_of_range(what)),
            }
            rest_layout = after;
        }
        match reading.pm {
            Some(true) if reading.hour < 12 => reading.hour += 12,
            Some(false) if reading.hour == 12 => reading.hour = 0,
            _ => {}
        }
        let date = match reading.year_day {
            Some(day) => {
                Date::new(reading.year, 1, 1).and_then(|date| date.with().day_of_year(day).build())
            }
            None => Date::new(reading.year, reading.month, reading.day),
        };
        let date = date.map_err(|_| out_of_range("day"))?;
        date.at(reading.hour, reading.minute, reading.second, reading.nanos)
            .to_zoned(reading.zone.unwrap_or(TimeZone::UTC))
            .map(|zoned| Time(Box::new(zoned)))
            .map_err(|_| out_of_range("year"))
    }

    enum Problem {
        Syntax,
        Range(&'static str),
    }

    /// Skips literal text; a run of spaces matches any run of spaces.
    fn skip<'v>(mut value: &'v str, mut prefix: &str) -> Result<&'v str, ()> {
        while let Some(c) = prefix.chars().next() {
            if c == ' ' {
                if !value.is_empty() && !value.starts_with(' ') {
                    return Err(());
                }
                prefix = prefix.trim_start_matches(' ');
                value = value.trim_start_matches(' ');
                continue;
            }
            value = value.strip_prefix(c).ok_or(())?;
            prefix = prefix.get(c.len_utf8()..).unwrap_or_default();
        }
        Ok(value)
    }

    /// Reads `min` to `max` digits.
    fn digits(value: &str, min: usize, max: usize) -> Result<(i32, &str), Problem> {
        let count = value.bytes().take(max).take_while(u8::is_ascii_digit).count();
        if count < min {
            return Err(Problem::Syntax);
        }
        let (number, rest) = value.split_at_checked(count).ok_or(Problem::Syntax)?;
        Ok((number.parse().map_err(|_| Problem::Syntax)?, rest))
    }

    fn ranged<'v>(
        value: &'v str,
        min: usize,
        (low, high, what): (i32, i32, &'static str),
    ) -> Result<(i8, &'v str), Problem> {
        let (number, rest) = digits(value, min, 2)?;
        if !(low..=high).contains(&number) {
            return Err(Problem::Range(what));
        }
        Ok((i8::try_from(number).map_err(|_| Problem::Range(what))?, rest))
    }

    fn lookup<'v>(names: &[&str], value: &'v str, long: bool) -> Result<(i8, &'v str), Problem> {
        for (index, name) in names.iter().enumerate() {
            let name = if long { name } else { short(name) };
            let head = value.get(..name.len());
            if head.is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                let rest = value.get(name.len()..).unwrap_or_default();
                return Ok((i8::try_from(index).unwrap_or(0), rest));
            }
        }
        Err(Problem::Syntax)
    }

    fn read<'v>(
        reading: &mut Reading,
        element: Element,
        value: &'v str,
        after: &str,
    ) -> Result<&'v str, Problem> {
        let month = (1, 12, "month");
        let day = (0, 31, "day");
        let hour = (0, 23, "hour");
        let hour12 = (0, 12, "hour");
        let minute = (0, 59, "minute");
        let second = (0, 59, "second");
        let rest;
        match element {
            Element::LongYear => {
                let (year, tail) = digits(value, 4, 4)?;
                (reading.year, rest) = (i16::try_from(year).map_err(|_| Problem::Syntax)?, tail);
            }
            Element::Year => {
                let (year, tail) = digits(value, 2, 2)?;
                let century = if year >= 69 { 1900 } else { 2000 };
                (reading.year, rest) =
                    (i16::try_from(year + century).map_err(|_| Problem::Syntax)?, tail);
            }
            Element::LongMonth | Element::Month => {
                let (index, tail) = lookup(&MONTHS, value, element == Element::LongMonth)?;
                (reading.month, rest) = (index + 1, tail);
            }
            Element::LongWeekday | Element::Weekday => {
                (_, rest) = lookup(&DAYS, value, element == Element::LongWeekday)?;
            }
            Element::NumMonth => (reading.month, rest) = ranged(value, 1, month)?,
            Element::ZeroMonth => (reading.month, rest) = ranged(value, 2, month)?,
            Element::Day => (reading.day, rest) = ranged(value, 1, day)?,
            Element::SpaceDay => {
                (reading.day, rest) = ranged(value.strip_prefix(' ').unwrap_or(value), 1, day)?;
            }
            Element::ZeroDay => (reading.day, rest) = ranged(value, 2, day)?,
            Element::SpaceYearDay | Element::ZeroYearDay => {
                let (number, tail) = digits(value.trim_start_matches(' '), 1, 3)?;
                reading.year_day = Some(i16::try_from(number).map_err(|_| Problem::Syntax)?);
                rest = tail;
            }
            Element::Hour => (reading.hour, rest) = ranged(value, 1, hour)?,
            Element::Hour12 => (reading.hour, rest) = ranged(value, 1, hour12)?,
            Element::ZeroHour12 => (reading.hour, rest) = ranged(value, 2, hour12)?,
            Element::Minute => (reading.minute, rest) = ranged(value, 1, minute)?,
            Element::ZeroMinute => (reading.minute, rest) = ranged(value, 2, minute)?,
            Element::Second | Element::ZeroSecond => {
                let min = if element == Element::Second { 1 } else { 2 };
                let (number, tail) = ranged(value, min, second)?;
                reading.second = number;
                // A fraction is read even if the layout has none.
                let wanted = fraction(after).is_some();
                rest = if wanted { tail } else { read_fraction(reading, tail, None)? };
            }
            Element::UpperPm | Element::LowerPm => {
                let (am, pm) =
                    if element == Element::UpperPm { ("AM", "PM") } else { ("am", "pm") };
                if let Some(tail) = value.strip_prefix(pm) {
                    (reading.pm, rest) = (Some(true), tail);
                } else {
                    let tail = value.strip_prefix(am).ok_or(Problem::Syntax)?;
                    (reading.pm, rest) = (Some(false), tail);
                }
            }
            Element::ZoneName => {
                let length = value.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&length) {
                    return Err(Problem::Syntax);
                }
                // Go keeps unknown abbreviations with offset zero; only the offset matters here.
                reading.zone.get_or_insert(TimeZone::UTC);
                rest = value.get(length..).unwrap_or_default();
            }
            Element::Offset { z, parts, colons } => {
                return read_offset(reading, value, z, parts, colons);
            }
            Element::Fraction { digits, trim, .. } => {
                let wanted = if trim { None } else { Some(usize::from(digits)) };
                rest = read_fraction(reading, value, wanted)?;
            }
        }
        Ok(rest)
    }

    fn read_fraction<'v>(
        reading: &mut Reading,
        value: &'v str,
        wanted: Option<usize>,
    ) -> Result<&'v str, Problem> {
        let Some(tail) = value.strip_prefix(['.', ',']) else {
            return if wanted.is_some() { Err(Problem::Syntax) } else { Ok(value) };
        };
        let count = tail.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 || wanted.is_some_and(|wanted| wanted > count) {
            return if wanted.is_some() { Err(Problem::Syntax) } else { Ok(value) };
        }
        let count = wanted.unwrap_or(count);
        let (digits, rest) = tail.split_at_checked(count).ok_or(Problem::Syntax)?;
        let nanos = format!("{digits:0<9}");
        reading.nanos = nanos.get(..9).and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
        Ok(rest)
    }

    fn read_offset<'v>(
        reading: &mut Reading,
        value: &'v str,
        z: bool,
        parts: u8,
        colons: bool,
    ) -> Result<&'v str, Problem> {
        if z && let Some(rest) = value.strip_prefix('Z') {
            reading.zone = Some(TimeZone::UTC);
            return Ok(rest);
        }
        let negative = value.starts_with('-');
        let mut rest = value.strip_prefix(['+', '-']).ok_or(Problem::Syntax)?;
        let mut seconds = 0;
        for index in 0..parts {
            if index > 0 && colons {
                rest = rest.strip_prefix(':').ok_or(Problem::Syntax)?;
            }
            let (number, tail) = digits(rest, 2, 2)?;
            let limit = if index == 0 { 24 } else { 60 };
            if number > limit {
                return Err(Problem::Range("time zone offset"));
            }
            seconds += number * [3600, 60, 1].get(usize::from(index)).copied().unwrap_or(0);
            rest = tail;
        }
        let seconds = if negative { -seconds } else { seconds };
        let offset = Offset::from_seconds(seconds).map_err(|_| Problem::Syntax)?;
        reading.zone = Some(TimeZone::fixed(offset));
        Ok(rest)
    }
}
