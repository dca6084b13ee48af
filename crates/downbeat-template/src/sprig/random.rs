//! Random text, numbers and ids, all drawn from the seeded stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::value::Value;

use Type::{Int, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("randAlphaNum", &[Int], |context, args| pick(context, args, ALPHANUMERIC)),
    function("randAlpha", &[Int], |context, args| pick(context, args, ALPHABETIC)),
    function("randNumeric", &[Int], |context, args| pick(context, args, NUMERIC)),
    function("randAscii", &[Int], rand_ascii),
    function("randBytes", &[Int], rand_bytes),
    function("randInt", &[Int, Int], |context, args| {
        let (min, max) = (args.int(0), args.int(1));
        let span = max.checked_sub(min).and_then(|span| u64::try_from(span).ok());
        let span = span.filter(|span| *span > 0).ok_or("invalid argument to Intn")?;
        Ok(min.wrapping_add_unsigned(context.random.below(span)).into())
    }),
    function("shuffle", &[Str], |context, args| {
        context.budget.spend_bytes(args.bytes(0).len())?;
        let mut letters: Vec<char> = args.str(0).chars().collect();
        for index in (1..letters.len()).rev() {
            let other = context.random.below(index as u64 + 1);
            letters.swap(index, usize::try_from(other).unwrap_or(index));
        }
        Ok(letters.into_iter().collect::<String>().into())
    }),
    function("uuidv4", &[], |context, _| Ok(uuid(context).into())),
];

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ALPHABETIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const NUMERIC: &[u8] = b"0123456789";

/// How many characters were asked for. Sprig drops the error for a negative count.
fn count(context: &mut Context, args: &Args<'_>) -> Result<usize, Fail> {
    let count = usize::try_from(args.int(0)).unwrap_or(0);
    context.budget.spend_bytes(count)?;
    context.budget.spend(count / 4)?;
    Ok(count)
}

fn pick(context: &mut Context, args: &Args<'_>, letters: &[u8]) -> Result<Value, Fail> {
    let mut out = String::new();
    for _ in 0..count(context, args)? {
        let index = context.random.below(letters.len() as u64);
        let letter = usize::try_from(index).ok().and_then(|index| letters.get(index));
        out.extend(letter.map(|letter| char::from(*letter)));
    }
    Ok(out.into())
}

/// Printable ASCII, space to tilde.
fn rand_ascii(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let mut out = String::new();
    for _ in 0..count(context, args)? {
        let offset = context.random.below(95);
        out.push(char::from(b' ' + u8::try_from(offset).unwrap_or(0)));
    }
    Ok(out.into())
}

fn rand_bytes(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    if args.int(0) < 0 {
        return Err("runtime error: makeslice: len out of range".into());
    }
    let mut bytes = vec![0; count(context, args)?];
    context.random.fill(&mut bytes);
    Ok(STANDARD.encode(bytes).into())
}

fn uuid(context: &mut Context) -> String {
    let mut bytes = [0; 16];
    context.random.fill(&mut bytes);
    let bits = u128::from_be_bytes(bytes);
    // Version 4, variant 1.
    let bits = bits & !(0xf << 76) | 4 << 76;
    let bits = bits & !(3 << 62) | 2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
