//! How types of the rules are described in the OpenAPI document that do not have the shape of their fields.

use crate::policy::{DecimalText, PolicyVersion};
use std::borrow::Cow;
use utoipa::openapi::{Object, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Types that are texts in JSON, whatever they are in Rust.
macro_rules! texts {
    ($($text:ty = $name:literal),* $(,)?) => {
        $(
            impl PartialSchema for $text {
                fn schema() -> RefOr<Schema> {
                    RefOr::T(Object::with_type(Type::String).into())
                }
            }

            impl ToSchema for $text {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed($name)
                }
            }
        )*
    };
}

texts! {
    DecimalText = "DecimalText",
    PolicyVersion = "PolicyVersion",
}
