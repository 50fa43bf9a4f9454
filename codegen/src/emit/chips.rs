//! The chips: an enum, their numbers as methods, and the table of PCI functions.

use super::{doc, escape, hex, ident, markup, plain};
use crate::model::Spec;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn emit(spec: &Spec) -> TokenStream {
    let idents: Vec<Ident> = spec.chips.iter().map(|chip| ident(&chip.ident)).collect();
    let names: Vec<&str> = spec.chips.iter().map(|chip| chip.name.as_str()).collect();
    let variants = spec.chips.iter().map(|chip| {
        let name = ident(&chip.ident);
        let text = doc(&chip.doc);
        let source = markup(&format!("\n Source: {}.", escape(&chip.source)));
        quote!(#text #source #name)
    });
    let numbers = spec.numbers.iter().map(|(key, meaning)| {
        let method = ident(key);
        let text = doc(meaning);
        let mut by_value: BTreeMap<u32, Vec<&Ident>> = BTreeMap::new();
        for (chip, name) in spec.chips.iter().zip(&idents) {
            by_value.entry(chip.numbers.get(key).copied().unwrap_or(0)).or_default().push(name);
        }
        let body = if by_value.len() == 1 {
            let value = by_value.keys().next().map(|value| plain((*value).into()));
            quote!(#value)
        } else {
            let arms = by_value.iter().map(|(value, chips)| {
                let value = plain((*value).into());
                quote!(#(Self::#chips)|* => #value,)
            });
            quote!(match self { #(#arms)* })
        };
        quote!(#text #[inline] pub const fn #method(self) -> usize { #body })
    });
    let media: BTreeSet<&str> =
        spec.chips.iter().flat_map(|chip| &chip.devices).map(|device| device.media.as_str()).collect();
    let media_variants = media.iter().map(|name| {
        let variant = camel(name);
        let text = markup(&format!("`{name}`."));
        quote!(#text #variant)
    });
    let media_names: Vec<&str> = media.iter().copied().collect();
    let media_idents: Vec<Ident> = media.iter().map(|name| camel(name)).collect();
    let mut devices: Vec<_> = spec
        .chips
        .iter()
        .zip(&idents)
        .flat_map(|(chip, name)| chip.devices.iter().map(move |d| (d, name)))
        .collect();
    devices.sort_by_key(|(device, _)| device.id);
    let rows = devices.iter().map(|(device, chip)| {
        let (id, name, media, vf) =
            (hex(device.id.into()), &device.name, camel(&device.media), device.virtual_function);
        quote!(Self { id: #id, chip: Chip::#chip, name: #name, media: Media::#media, virtual_function: #vf },)
    });
    quote! {
        use core::fmt;
        use core::str::FromStr;

        /// A member of the family.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Chip { #(#variants,)* }

        impl Chip {
            /// All of them, oldest first.
            pub const ALL: &'static [Self] = &[#(Self::#idents),*];

            /// The name that people use.
            pub const fn name(self) -> &'static str {
                match self { #(Self::#idents => #names,)* }
            }
            #(#numbers)*
        }

        impl fmt::Display for Chip {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        /// The text names no chip.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct UnknownChip;

        impl fmt::Display for UnknownChip {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("no such chip; known are")?;
                Chip::ALL.iter().try_for_each(|chip| write!(f, " {chip}"))
            }
        }

        impl core::error::Error for UnknownChip {}

        impl FromStr for Chip {
            type Err = UnknownChip;
            /// Reads a chip's name, in upper or lower case.
            fn from_str(name: &str) -> Result<Self, UnknownChip> {
                Self::ALL.iter().copied().find(|chip| chip.name().eq_ignore_ascii_case(name)).ok_or(UnknownChip)
            }
        }

        /// What a function is connected by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Media { #(#media_variants,)* }

        impl Media {
            /// One lower-case word.
            pub const fn name(self) -> &'static str {
                match self { #(Self::#media_idents => #media_names,)* }
            }
        }

        /// One kind of PCI function, by its device ID.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Device {
            /// PCI device ID.
            pub id: u16,
            /// The chip that it is a function of.
            pub chip: Chip,
            /// What lists of PCI IDs call it.
            pub name: &'static str,
            /// What it is connected by.
            pub media: Media,
            /// Whether it is a virtual function.
            pub virtual_function: bool,
        }

        impl Device {
            /// Every function of the family, by rising ID.
            pub const ALL: &'static [Self] = &[#(#rows)*];

            /// The function with this PCI device ID.
            pub fn from_id(id: u16) -> Option<&'static Self> {
                Self::ALL.binary_search_by_key(&id, |device| device.id).ok().and_then(|index| Self::ALL.get(index))
            }
        }
    }
}

fn camel(word: &str) -> Ident {
    let mut text = String::new();
    for part in word.split(['-', '_', ' ']) {
        let mut letters = part.chars();
        text.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    ident(&text)
}
