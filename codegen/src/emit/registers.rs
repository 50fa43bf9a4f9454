//! One tag type per register with flat constants, and the accessors of `Regs`.

use super::{chips_text, doc, escape, hex, ident, kind_text, markup, plain, sentence};
use crate::model::{Access, ChipSet, Cluster, Field, Group, Piece, Place, Register, Spec};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

pub(super) fn root(spec: &Spec) -> TokenStream {
    let mods: Vec<Ident> = spec.groups.iter().map(|group| ident(&group.name)).collect();
    quote! {
        mod chips;
        #(mod #mods;)*

        /// The registers of a chip that is known when the program is built, a module for each.
        ///
        /// [`Regs`] takes the chip at run time and gives an `Option` where some chip lacks a register. Here every
        /// register that the chip has is there, its offset is a constant, and one that the chip lacks does not
        /// compile.
        pub mod chip;
        #[cfg(feature = "meta")]
        pub(crate) mod meta;

        pub use chips::*;
        #(pub use #mods::*;)*

        /// The registers of one function: a bus, and the chip behind it.
        ///
        /// Methods have the registers' names. A register that some chip lacks gives an `Option`; an array takes an
        /// index, and where every chip has it a `try_` method gives `None` beyond this chip's last element.
        #[derive(Debug, Clone)]
        pub struct Regs<B> {
            bus: B,
            chip: Chip,
        }

        impl<B: crate::Bus> Regs<B> {
            /// The registers of a `chip` at `bus`.
            pub const fn new(bus: B, chip: Chip) -> Self {
                Self { bus, chip }
            }

            /// The bus.
            pub const fn bus(&self) -> &B {
                &self.bus
            }

            /// The chip.
            pub const fn chip(&self) -> Chip {
                self.chip
            }
        }

        #[cold]
        #[track_caller]
        fn beyond(register: &str, index: usize, chip: Chip) -> ! {
            panic!("{register}[{index}]: the {chip} has fewer")
        }
    }
}

pub(super) fn group(spec: &Spec, group: &Group) -> TokenStream {
    let tags = group.registers.iter().map(|register| tag(spec, register));
    let accessors = group.registers.iter().map(|register| accessor(spec, register));
    let cluster_methods = group.clusters.iter().map(cluster_method);
    let clusters = group.clusters.iter().map(|cluster| cluster_type(spec, cluster));
    quote! {
        #[allow(unused_imports)]
        use super::{Chip, Regs, beyond};
        #[allow(unused_imports)]
        use crate::{Bus, Modify, Read, ReadClear, ReadSet, Reg, Register, Write, WriteClear, WriteSet};
        use tock_registers::RegisterLongName;
        #[allow(unused_imports)]
        use tock_registers::fields::{Field, FieldValue};

        #(#tags)*

        impl<B: Bus> Regs<B> {
            #(#accessors)*
            #(#cluster_methods)*
        }

        #(#clusters)*
    }
}

fn place_text(spec: &Spec, register: &Register, place: &Place) -> String {
    let mut runs = Vec::new();
    for piece in &place.pieces {
        if register.is_array {
            let last = piece.first + piece.count - 1;
            runs.push(format!(
                "[{}..={last}] at `{:#07x}` + {:#x}·n",
                piece.first, piece.offset, piece.stride
            ));
        } else {
            runs.push(format!("`{:#07x}`", piece.offset));
        }
    }
    let mut text = runs.join(", ");
    if let Some(reset) = place.reset {
        text += &format!(", reset `{reset:#010x}`");
    }
    if let Some(access) = place.access {
        text += &format!(", {}", kind_text(access));
    }
    if register.places.len() > 1 {
        text += &format!(" ({})", spec.names(place.chips).join(", "));
    }
    text
}

fn tag(spec: &Spec, register: &Register) -> TokenStream {
    let name = ident(&register.name);
    let text_name = &register.name;
    let text = doc(&sentence(&register.doc));
    let places: Vec<_> = register.places.iter().map(|place| place_text(spec, register, place)).collect();
    let facts = markup(&format!("\n - {}; {}.", places.join("; "), kind_text(register.access)));
    let who = markup(&format!("- On {}.", chips_text(spec, register.chips)));
    let source = markup(&format!("- Source: {}.", escape(&register.source)));
    let quiet = quiet(register);
    let w1c = register.mask(&[Access::W1c, Access::RcW1c]);
    let quiet = (quiet != 0).then(|| {
        let quiet = hex(quiet);
        quote!(const QUIET: u32 = #quiet;)
    });
    let w1c = (w1c != 0).then(|| {
        let w1c = hex(w1c);
        quote!(const W1C: u32 = #w1c;)
    });
    let rows = register.fields.iter().map(|field| {
        let (name, low, width) = (&field.name, plain(field.low.into()), plain(field.width().into()));
        quote!((#name, #low, #width))
    });
    let table = (!register.fields.is_empty())
        .then(|| quote!(const FIELDS: &'static [(&'static str, u8, u8)] = &[#(#rows),*];));
    let markers = markers(register).into_iter().map(|marker| {
        let marker = ident(marker);
        quote!(impl #marker for #name {})
    });
    let fields = register.fields.iter().map(|field| constants(spec, register, field));
    let offset = offset_of(spec, register);
    quote! {
        #text
        #facts
        #who
        #source
        #[derive(Debug, Clone, Copy)]
        pub struct #name(());

        impl RegisterLongName for #name {}
        impl Register for #name {
            const NAME: &'static str = #text_name;
            #table
            #quiet
            #w1c
        }
        #(#markers)*

        impl #name {
            #(#fields)*
            #offset
        }
    }
}

/// What `modify` must write as 0.
fn quiet(register: &Register) -> u32 {
    if register.access == Access::Rw {
        register.mask(&[Access::W1c, Access::RcW1c, Access::W1s, Access::Sc, Access::Trigger])
    } else {
        0
    }
}

fn markers(register: &Register) -> Vec<&'static str> {
    let any = |kinds: &[Access]| register.fields.iter().any(|field| kinds.contains(&field.access));
    let clears = any(&[Access::Rc, Access::RcW1c]);
    let takes = any(&[Access::Rs]);
    let mut markers = match register.access {
        Access::Ro if clears => vec!["ReadClear"],
        Access::Ro => vec!["Read"],
        Access::Rw if takes => vec!["ReadSet", "Write"],
        Access::Rw if clears => vec!["ReadClear", "Write"],
        Access::Rw => vec!["Read", "Write", "Modify"],
        Access::Wo | Access::Trigger => vec!["Write"],
        Access::Sc => vec!["Read", "Write"],
        Access::Rc => vec!["ReadClear"],
        Access::Rs => vec!["ReadSet", "Write"],
        Access::W1c => vec!["Read", "WriteClear"],
        Access::RcW1c => vec!["ReadClear", "WriteClear"],
        Access::W1s => vec!["Read", "WriteSet"],
    };
    if any(&[Access::W1c, Access::RcW1c]) && !markers.contains(&"WriteClear") {
        markers.push("WriteClear");
    }
    if any(&[Access::W1s]) && !markers.contains(&"WriteSet") {
        markers.push("WriteSet");
    }
    markers
}

fn constants(spec: &Spec, register: &Register, field: &Field) -> TokenStream {
    let name = ident(&field.name);
    let bits = if field.low == field.high {
        format!("Bit {}", field.low)
    } else {
        format!("Bits {}:{}", field.high, field.low)
    };
    let mut facts = bits;
    if field.access != register.access {
        facts += &format!(", {}", kind_text(field.access));
    }
    if field.chips != register.chips {
        facts += &format!("; on {}", spec.names(field.chips).join(", "));
    }
    if let Some(source) = &field.source {
        facts += &format!("; source: {}", escape(source));
    }
    let text = doc(&sentence(&field.doc));
    let facts = markup(&format!("\n {facts}."));
    let mask = hex((field.mask() >> field.low) as u32);
    let shift = plain(field.low.into());
    let values = field.values.iter().map(|(value_name, value)| {
        let constant = ident(&format!("{}_{value_name}", field.name));
        let text = markup(&format!("`{}` = {value}.", field.name));
        let value = plain(*value);
        let (mask, shift) = (mask.clone(), shift.clone());
        quote!(#text pub const #constant: FieldValue<u32, Self> = FieldValue::<u32, Self>::new(#mask, #shift, #value);)
    });
    quote! {
        #text
        #facts
        pub const #name: Field<u32, Self> = Field::new(#mask, #shift);
        #(#values)*
    }
}

fn pattern(spec: &Spec, set: ChipSet) -> TokenStream {
    let chips = set.iter().filter_map(|chip| spec.chips.get(chip)).map(|chip| ident(&chip.ident));
    quote!(#(Chip::#chips)|*)
}

/// `OFFSET`, where it is one number on every chip; a function of chip and index otherwise.
fn offset_of(spec: &Spec, register: &Register) -> TokenStream {
    let everywhere = register.chips == spec.all_chips();
    let mut merged: Vec<(ChipSet, &Vec<Piece>)> = Vec::new();
    for place in &register.places {
        match merged.iter_mut().find(|(_, pieces)| **pieces == place.pieces) {
            Some((set, _)) => *set = set.or(place.chips),
            None => merged.push((place.chips, &place.pieces)),
        }
    }
    let nowhere = (!everywhere).then(|| quote!(_ => None,));
    if register.is_array {
        let arms = merged.iter().map(|(set, pieces)| {
            let chips = pattern(spec, *set);
            let runs = pieces.iter().map(|piece| {
                let (first, last) =
                    (plain(piece.first.into()), plain((piece.first + piece.count - 1).into()));
                let offset = hex(piece.offset);
                if piece.count == 1 {
                    return quote!(#first => Some(#offset),);
                }
                let stride = hex(piece.stride);
                let index =
                    if piece.first == 0 { quote!(index as u32) } else { quote!((index as u32 - #first)) };
                quote!(#first..=#last => Some(#offset + #stride * #index),)
            });
            quote!(#chips => match index { #(#runs)* _ => None },)
        });
        quote! {
            /// Byte offset of element `index` on `chip`; `None` where it has none.
            #[inline]
            pub const fn offset_of(chip: Chip, index: usize) -> Option<u32> {
                match chip { #(#arms)* #nowhere }
            }
        }
    } else if everywhere && merged.len() == 1 {
        let offset = hex(merged[0].1[0].offset);
        quote! {
            /// Byte offset.
            pub const OFFSET: u32 = #offset;
        }
    } else if everywhere {
        let arms = merged.iter().map(|(set, pieces)| {
            let (chips, offset) = (pattern(spec, *set), hex(pieces[0].offset));
            quote!(#chips => #offset,)
        });
        quote! {
            /// Byte offset on `chip`.
            #[inline]
            pub const fn offset_of(chip: Chip) -> u32 {
                match chip { #(#arms)* }
            }
        }
    } else {
        let arms = merged.iter().map(|(set, pieces)| {
            let (chips, offset) = (pattern(spec, *set), hex(pieces[0].offset));
            quote!(#chips => Some(#offset),)
        });
        quote! {
            /// Byte offset on `chip`; `None` where it has none.
            #[inline]
            pub const fn offset_of(chip: Chip) -> Option<u32> {
                match chip { #(#arms)* #nowhere }
            }
        }
    }
}

fn accessor(spec: &Spec, register: &Register) -> TokenStream {
    let name = ident(&register.name);
    let method = ident(&register.name.to_lowercase());
    let everywhere = register.chips == spec.all_chips();
    let text_name = &register.name;
    let what = markup(&format!("[`{}`]: {}", register.name, first_sentence(&register.doc)));
    if register.is_array && everywhere {
        let attempt = ident(&format!("try_{}", register.name.to_lowercase()));
        let same = markup(&format!("[`{}`] `index`, if this chip has so many.", register.name));
        quote! {
            #what
            ///
            /// # Panics
            /// If this chip has fewer elements.
            #[inline]
            #[track_caller]
            pub fn #method(&self, index: usize) -> Reg<&B, #name> {
                match self.#attempt(index) {
                    Some(register) => register,
                    None => beyond(#text_name, index, self.chip),
                }
            }
            #same
            #[inline]
            pub fn #attempt(&self, index: usize) -> Option<Reg<&B, #name>> {
                match #name::offset_of(self.chip, index) {
                    Some(offset) => Some(Reg::at(&self.bus, offset)),
                    None => None,
                }
            }
        }
    } else if register.is_array {
        quote! {
            #what
            ///
            /// `None` where this chip has no such element.
            #[inline]
            pub fn #method(&self, index: usize) -> Option<Reg<&B, #name>> {
                match #name::offset_of(self.chip, index) {
                    Some(offset) => Some(Reg::at(&self.bus, offset)),
                    None => None,
                }
            }
        }
    } else if everywhere {
        let offsets: Vec<u32> = register.places.iter().map(|place| place.pieces[0].offset).collect();
        let offset = if offsets.windows(2).all(|pair| pair[0] == pair[1]) {
            quote!(#name::OFFSET)
        } else {
            quote!(#name::offset_of(self.chip))
        };
        quote! {
            #what
            #[inline]
            pub fn #method(&self) -> Reg<&B, #name> {
                Reg::at(&self.bus, #offset)
            }
        }
    } else {
        quote! {
            #what
            ///
            /// `None` where this chip has none.
            #[inline]
            pub fn #method(&self) -> Option<Reg<&B, #name>> {
                match #name::offset_of(self.chip) {
                    Some(offset) => Some(Reg::at(&self.bus, offset)),
                    None => None,
                }
            }
        }
    }
}

fn first_sentence(text: &str) -> String {
    let text = text.trim();
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    sentence(&escape(&text[..end].replace('\n', " ")))
}

fn cluster_method(cluster: &Cluster) -> TokenStream {
    let (name, method, count) = (ident(&cluster.name), ident(&cluster.method), ident(&cluster.count));
    let text = doc(&sentence(&cluster.doc));
    let text_name = &cluster.name;
    quote! {
        #text
        ///
        /// # Panics
        /// If this chip has fewer.
        #[inline]
        #[track_caller]
        pub fn #method(&self, index: usize) -> #name<'_, B> {
            if index >= self.chip.#count() {
                beyond(#text_name, index, self.chip);
            }
            #name { regs: self, index }
        }
    }
}

fn cluster_type(spec: &Spec, cluster: &Cluster) -> TokenStream {
    let name = ident(&cluster.name);
    let text = doc(&sentence(&cluster.doc));
    let members = cluster.members.iter().filter_map(|member| {
        let register =
            spec.registers().map(|(_, register)| register).find(|register| &register.name == member)?;
        let (tag, method) = (ident(member), ident(&member.to_lowercase()));
        let what = markup(&format!("[`{member}`]: {}", first_sentence(&register.doc)));
        let result = if register.chips == spec.all_chips() {
            quote!(Reg<&'a B, #tag>)
        } else {
            quote!(Option<Reg<&'a B, #tag>>)
        };
        Some(quote! {
            #what
            #[inline]
            pub fn #method(&self) -> #result {
                self.regs.#method(self.index)
            }
        })
    });
    quote! {
        #text
        #[derive(Debug)]
        pub struct #name<'a, B> {
            regs: &'a Regs<B>,
            index: usize,
        }

        impl<B> Clone for #name<'_, B> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<B> Copy for #name<'_, B> {}

        impl<'a, B: Bus> #name<'a, B> {
            /// Which one.
            pub const fn index(&self) -> usize {
                self.index
            }
            #(#members)*
        }
    }
}
