//! The tables: everything that the description says, for programs that decode, dump or simulate.

use super::{hex, hex64, ident, plain};
use crate::model::{Access, Piece, Spec};
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
    quote! {
        use crate::meta::{Access, ChipSet, FieldInfo, Piece, Place, RegisterInfo};

        /// Every register that is described, by group.
        pub static REGISTERS: &[RegisterInfo] = &[#(#rows),*];
    }
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
