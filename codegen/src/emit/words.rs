//! Values rather than places: one `bitfield-struct` type per word.

use super::{chips_text, doc, escape, hex64, ident, markup, plain, sentence};
use crate::model::{Field, Spec, Word, Words};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

pub(super) fn root(groups: &[Words]) -> TokenStream {
    let mods: Vec<Ident> = groups.iter().map(|group| ident(&group.name)).collect();
    quote! {
        #(mod #mods;)*
        #(pub use #mods::*;)*
    }
}

pub(super) fn group(spec: &Spec, group: &Words) -> TokenStream {
    let words = group.words.iter().map(|one| word(spec, one));
    quote! {
        use bitfield_struct::bitfield;

        #(#words)*
    }
}

fn word(spec: &Spec, word: &Word) -> TokenStream {
    let name = ident(&word.name);
    let repr = format_ident!("u{}", word.bits);
    let text = doc(&sentence(&word.doc));
    let mut facts = String::new();
    if let Some(datasheet) = &word.datasheet {
        facts += &format!("{datasheet}; ");
    }
    facts += &chips_text(spec, word.chips);
    let facts = markup(&format!("\n - {facts}."));
    let source = markup(&format!("- Source: {}.", escape(&word.source)));
    let mut members = Vec::new();
    let mut next = 0;
    for field in &word.fields {
        if field.low > next {
            members.push(gap(field.low - next, word.bits));
        }
        members.push(member(spec, word, field));
        next = field.high + 1;
    }
    if next < word.bits {
        members.push(gap(word.bits - next, word.bits));
    }
    let address = word.address.map(|address| {
        let address = plain(address.into());
        quote! {
            /// Address.
            pub const ADDRESS: u8 = #address;
        }
    });
    let page = word.page.map(|page| {
        let page = plain(page.into());
        quote! {
            /// The page that it is on.
            pub const PAGE: u16 = #page;
        }
    });
    let device = word.device.map(|device| {
        let device = plain(device.into());
        quote! {
            /// MMD device address.
            pub const DEVICE: u8 = #device;
        }
    });
    let address = if word.address_bits == 16 {
        word.address.map(|address| {
            let address = hex64(address.into());
            quote! {
                /// Address.
                pub const ADDRESS: u16 = #address;
            }
        })
    } else {
        address
    };
    let reset = word.reset.map(|reset| {
        let reset = hex64(reset);
        quote! {
            /// Value after a reset.
            pub const RESET: Self = Self::from_bits(#reset);
        }
    });
    let values = word.fields.iter().flat_map(|field| {
        let kind = kind(field);
        let upper = field.name.to_uppercase();
        field.values.iter().map(move |(value_name, value)| {
            let constant = ident(&format!("{upper}_{value_name}"));
            let text = markup(&format!("`{}` = {value}.", field.name));
            let value = if field.width() == 1 {
                if *value == 0 { quote!(false) } else { quote!(true) }
            } else {
                let v = plain(*value);
                quote!(#v)
            };
            quote!(#text pub const #constant: #kind = #value;)
        })
    });
    let constants: TokenStream = quote!(#device #page #address #reset #(#values)*);
    let constants = (!constants.is_empty()).then(|| quote!(impl #name { #constants }));
    quote! {
        #text
        #facts
        #source
        #[bitfield(#repr)]
        #[derive(PartialEq, Eq)]
        pub struct #name { #(#members)* }
        #constants
    }
}

fn gap(width: u8, bits: u8) -> TokenStream {
    let repr = format_ident!("u{bits}");
    let width = plain(width.into());
    quote!(#[bits(#width)] __: #repr,)
}

fn kind(field: &Field) -> Ident {
    ident(match field.width() {
        1 => "bool",
        2..=8 => "u8",
        9..=16 => "u16",
        17..=32 => "u32",
        _ => "u64",
    })
}

fn member(spec: &Spec, word: &Word, field: &Field) -> TokenStream {
    let (name, kind) = (ident(&field.name), kind(field));
    let mut text = sentence(&field.doc);
    if field.chips != word.chips {
        text += &format!(" On {}.", spec.names(field.chips).join(", "));
    }
    let text = doc(&text);
    if field.width() == 1 {
        quote!(#text pub #name: bool,)
    } else {
        let width = plain(field.width().into());
        quote!(#text #[bits(#width)] pub #name: #kind,)
    }
}
