//! JSON of others, read within bounds: a few megabytes of brackets unfold to gigabytes of values.
//!
//! Apart because every door needs it. Where a bound is passed reading stops at once, with an error.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Most values of one answer, those inside others counted too: some 10 MiB when unfolded. A list of
/// 100 pages with 25 columns each has a quarter of it.
pub const VALUES: usize = 100_000;

/// Said of what has more.
const TOO_MANY: &str = "more values than are read";

/// Reads a JSON text of at most [`VALUES`] values.
pub fn value(json: &[u8]) -> serde_json::Result<Value> {
    let left = Cell::new(VALUES);
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

/// Reads a value; counts down what is left.
#[derive(Clone, Copy)]
struct Values<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| D::Error::custom(TOO_MANY))?);
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

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
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
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(value(list(VALUES - 1).as_bytes()).is_ok());
        let err = value(list(VALUES).as_bytes()).expect_err("too many");
        assert!(is_too_much(&err), "{err}");
        let nested = format!("[{}{{}}]", "{\"a\":[]},".repeat(VALUES));
        assert!(is_too_much(
            &value(nested.as_bytes()).expect_err("too many")
        ));
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
