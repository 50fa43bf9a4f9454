//! The tables: everything that the description says, for programs that decode, dump or simulate.

use super::{hex, hex64, ident, plain};
use crate::model::{Access, Piece, Spec, Word};
use proc_macro2::TokenStream;
use quote::quote;

pub(super) fn emit(spec: &Spec) -> TokenStream {
    let rows = spec.registers().map(|(group, register)| {
        let (name, text, source, is_array) = (&register.name, register.doc.trim(), &register.source, register.is_array);
        let (group, kind) = (&group.name, access(register.access));
        let places = register.places.iter().map(|place| {
            let (chips, pieces, aliases) = (hex(place.chips.0.into()), pieces(&place.pieces), pieces(&place.aliases));
            let reset = place.reset.map_or(quote!(None), |reset| {
                let reset = hex(reset);
                quote!(Some(#reset))
            });
            let kind = place.access.map_or(quote!(None), |kind| {
                let kind = access(kind);
                quote!(Some(#kind))
            });
            quote!(Place { chips: ChipSet(#chips), pieces: #pieces, aliases: #aliases, reset: #reset, access: #kind })
        });
        let fields = register.fields.iter().map(|field| {
            let (name, shift, width) = (&field.name, plain(field.low.into()), plain(field.width().into()));
            let (chips, kind, text) = (hex(field.chips.0.into()), access(field.access), field.doc.trim());
            let source = field.source.as_ref().map_or(quote!(None), |source| quote!(Some(#source)));
            let values = field.values.iter().map(|(name, value)| {
                let value = hex64(*value);
                quote!((#name, #value))
            });
            quote!(FieldInfo {
                name: #name, shift: #shift, width: #width, access: #kind, chips: ChipSet(#chips),
                doc: #text, source: #source, values: &[#(#values),*],
            })
        });
        quote!(RegisterInfo {
            name: #name, doc: #text, group: #group, source: #source, access: #kind, is_array: #is_array,
            places: &[#(#places),*], fields: &[#(#fields),*],
        })
    });
    let words = words(spec);
    let uses = words.as_ref().map(|_| {
        quote!(
            use crate::meta::{WordFieldInfo, WordInfo};
        )
    });
    quote! {
        use crate::meta::{Access, ChipSet, FieldInfo, Piece, Place, RegisterInfo};
        #uses

        /// Every register that is described, by group.
        pub static REGISTERS: &[RegisterInfo] = &[#(#rows),*];

        #words
    }
}

/// The values that are no places; none where the description has none.
fn words(spec: &Spec) -> Option<TokenStream> {
    let rows = spec.words.iter().flat_map(|(folder, groups)| {
        groups.iter().flat_map(move |group| group.words.iter().map(move |one| word(folder, &group.name, one)))
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| {
        quote! {
            /// Every word that is described, by folder and group.
            pub static WORDS: &[WordInfo] = &[#(#rows),*];
        }
    })
}

fn word(folder: &str, group: &str, word: &Word) -> TokenStream {
    let option = |value: Option<u64>| {
        value.map_or(quote!(None), |value| {
            let value = hex64(value);
            quote!(Some(#value))
        })
    };
    let (name, text, source, bits) =
        (&word.name, super::json::text(&word.doc), &word.source, plain(word.bits.into()));
    let datasheet = word.datasheet.as_ref().map_or(quote!(None), |name| quote!(Some(#name)));
    let (device, page) = (option(word.device.map(Into::into)), option(word.page.map(Into::into)));
    let (address, reset) = (option(word.address.map(Into::into)), option(word.reset));
    let (chips, kind) = (hex(word.chips.0.into()), access(word.access));
    let fields = word.fields.iter().map(|field| {
        let (name, shift, width) = (&field.name, plain(field.low.into()), plain(field.width().into()));
        let (chips, kind, text) =
            (hex(field.chips.0.into()), access(field.access), super::json::text(&field.doc));
        let values = field.values.iter().map(|(name, value)| {
            let value = hex64(*value);
            quote!((#name, #value))
        });
        quote!(WordFieldInfo {
            name: #name, shift: #shift, width: #width, access: #kind, chips: ChipSet(#chips),
            doc: #text, values: &[#(#values),*],
        })
    });
    quote!(WordInfo {
        name: #name, datasheet: #datasheet, folder: #folder, group: #group, bits: #bits, device: #device, page: #page,
        address: #address, reset: #reset, doc: #text, source: #source, access: #kind, chips: ChipSet(#chips), fields: &[#(#fields),*],
    })
}

fn pieces(pieces: &[Piece]) -> TokenStream {
    let pieces = pieces.iter().map(|piece| {
        let (first, count) = (plain(piece.first.into()), plain(piece.count.into()));
        let (offset, stride) = (hex(piece.offset), hex(piece.stride));
        quote!(Piece { first: #first, count: #count, offset: #offset, stride: #stride })
    });
    quote!(&[#(#pieces),*])
}

fn access(access: Access) -> TokenStream {
    let name = ident(match access {
        Access::Ro => "ReadOnly",
        Access::Wo => "WriteOnly",
        Access::Rw => "ReadWrite",
        Access::Rc => "ReadClear",
        Access::W1c => "WriteOneClear",
        Access::RcW1c => "ReadClearWriteOneClear",
        Access::W1s => "WriteOneSet",
        Access::Rs => "ReadSet",
        Access::Sc => "SelfClearing",
        Access::Trigger => "Trigger",
    });
    quote!(Access::#name)
}
