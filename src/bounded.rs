//! JSON of others, read within bounds: a few megabytes of brackets unfold to gigabytes of values.
//!
//! Apart because every door needs it. Where a bound is passed reading stops at once, with an error.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Most memory of one value when it is unfolded, in bytes: of an answer, or of an item of a list. A
/// page with 500 columns has a quarter of it.
pub const UNFOLDED: usize = 6 * 1024 * 1024;

/// What a value takes; in a list, which grows by doubling, up to twice as much.
const VALUE: usize = 2 * size_of::<Value>();
/// What the fields of an object lie in, [`FIELDS`] or more of them in each, if there are as many.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 24;
const FIELDS: usize = 6;
/// What a text takes besides itself.
const TEXT: usize = 16;

/// Said of what has more.
const TOO_MANY: &str = "more values than are read";

/// Reads a JSON text that takes at most [`UNFOLDED`] as a value.
pub fn value(json: &[u8]) -> serde_json::Result<Value> {
    let left = Cell::new(UNFOLDED);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = Values(&left).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// True for the error of a text that has more.
pub fn is_too_much(err: &serde_json::Error) -> bool {
    err.to_string().starts_with(TOO_MANY)
}

/// A list of at most so many items.
#[derive(Debug)]
pub struct AtMost<T, const N: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_seq(Items::<T, N>(PhantomData)).map(Self)
    }
}

struct Items<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a list of at most {N}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == N {
                return Err(A::Error::custom(TOO_MANY));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// Reads a value; counts down the bytes that are left.
#[derive(Clone, Copy)]
struct Values<'a>(&'a Cell<usize>);

impl Values<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or_else(|| E::custom(TOO_MANY))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.take(VALUE)?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.take(TEXT + value.len())?;
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.take(TEXT + value.capacity())?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let node = if map.len().is_multiple_of(FIELDS) {
                NODE
            } else {
                0
            };
            self.take(node + TEXT + name.len())?;
            map.insert(name, fields.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_library() {
        for text in [
            "null",
            "[true,-1,2,3.5,\"a\\u00e9\",{\"b\":[],\"a\":{}}]",
            "{\"id\":\"x\",\"n\":18446744073709551615}",
        ] {
            let want: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(value(text.as_bytes()).expect("a value"), want);
        }
        assert!(value(b"{} {}").is_err());
        assert!(value(b"[1,").is_err());
    }

    #[test]
    fn too_many_values_are_not_unfolded() {
        let list = |item: &str, count: usize| format!("[{}0]", format!("{item},").repeat(count));
        let most = UNFOLDED / VALUE - 2;
        assert!(value(list("0", most).as_bytes()).is_ok());
        for json in [
            list("0", most + 1),
            list("{\"a\":0}", UNFOLDED / NODE),
            list("[0]", most),
            format!("[{:?}]", "x".repeat(UNFOLDED)),
            format!("{{{:?}:0}}", "x".repeat(UNFOLDED)),
        ] {
            let read = value(json.as_bytes());
            assert!(read.is_err_and(|err| is_too_much(&err)), "{}", &json[..20]);
        }
        assert!(!is_too_much(&value(b"[").expect_err("cut")));
    }

    #[test]
    fn list_has_its_length() {
        assert_eq!(
            serde_json::from_str::<AtMost<u8, 3>>("[1,2,3]")
                .expect("a list")
                .0,
            [1, 2, 3]
        );
        assert!(serde_json::from_str::<AtMost<u8, 3>>("[1,2,3,4]").is_err());
    }
}
