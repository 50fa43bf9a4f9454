//! The same registers where the chip is known when the program is built: a register that it lacks is a compile error.

use super::{doc, ident, markup};
use crate::model::{Register, Spec};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

pub(super) fn emit(spec: &Spec) -> TokenStream {
    let everywhere = |register: &Register| register.chips == spec.all_chips();
    let partly = || spec.registers().map(|(_, register)| register).filter(|register| !everywhere(register));
    let chips = spec.chips.iter().enumerate().map(|(number, chip)| {
        let (name, module) = (ident(&chip.ident), ident(&chip.ident.to_lowercase()));
        let what = doc(&chip.doc);
        let text = &chip.name;
        let has =
            partly().filter(|register| register.chips.contains(number)).map(|register| ident(&register.name));
        let note = markup(&format!("The {}, known when the program is built.", chip.name));
        quote! {
            #what
            pub mod #module {
                #note
                #[derive(Debug, Clone, Copy)]
                pub struct ThisChip(());

                impl super::Known for ThisChip {
                    const CHIP: super::super::Chip = super::super::Chip::#name;
                    const NAME: &'static str = #text;
                }

                /// Its registers.
                pub type Regs<B> = super::Typed<B, ThisChip>;

                #(impl super::Has<super::super::#has> for ThisChip {})*
            }
        }
    });
    let methods = spec.registers().map(|(_, register)| method(register, everywhere(register)));
    quote! {
            #[allow(unused_imports)]
            use super::*;
            use core::marker::PhantomData;
            use crate::{Bus, Reg};

            /// A chip that is known when the program is built.
            pub trait Known: Copy + 'static {
                /// The chip.
                const CHIP: Chip;
                /// Its name.
                const NAME: &'static str;
            }

            /// The chip has the register `R`. Registers that every chip has need no such word.
            #[diagnostic::on_unimplemented(
                message = "this chip has no register `{R}`",
                label = "the chip lacks `{R}`",
                note = "the documentation of `{R}` says which chips have it; `Regs`, which takes its chip at run time, gives an `Option`"
            )]
            pub trait Has<R>: Known {}

            /// The registers of one function of the chip `C`.
            #[derive(Debug, Clone)]
            pub struct Typed<B, C> {
                bus: B,
                chip: PhantomData<C>,
            }

            impl<B: Bus, C: Known> Typed<B, C> {
                /// The registers at `bus`. That the chip there is this one is for the caller to know.
                pub const fn new(bus: B) -> Self {
                    Self { bus, chip: PhantomData }
                }

                /// The bus.
                pub const fn bus(&self) -> &B {
                    &self.bus
                }

                /// The chip.
                pub const fn chip(&self) -> Chip {
                    C::CHIP
                }

                #(#methods)*
            }

            #(#chips)*
    }
}

fn method(register: &Register, everywhere: bool) -> TokenStream {
    let name = ident(&register.name);
    let method = ident(&register.name.to_lowercase());
    let what = markup(&format!("[`{}`].", register.name));
    let bound = (!everywhere).then(|| quote!(where C: Has<#name>));
    if register.is_array {
        let at: Ident = ident(&format!("{}_at", register.name.to_lowercase()));
        let (text, beyond) =
            (&register.name, format!("`{}` has no element of this number on this chip", register.name));
        let element = markup(&format!(
            "Element `N` of [`{}`]; one beyond this chip's last does not compile.",
            register.name
        ));
        quote! {
            #what
            ///
            /// # Panics
            /// If this chip has fewer elements.
            #[inline]
            #[track_caller]
            pub fn #method(&self, index: usize) -> Reg<&B, #name> #bound {
                match #name::offset_of(C::CHIP, index) {
                    Some(offset) => Reg::at(&self.bus, offset),
                    None => beyond(#text, index, C::CHIP),
                }
            }
            #element
            #[inline]
            pub fn #at<const N: usize>(&self) -> Reg<&B, #name> #bound {
                Reg::at(&self.bus, const { match #name::offset_of(C::CHIP, N) { Some(offset) => offset, None => panic!(#beyond) } })
            }
        }
    } else {
        let one =
            register.places.iter().all(|place| place.pieces[0].offset == register.places[0].pieces[0].offset);
        let offset = match (everywhere, one) {
            (true, true) => quote!(#name::OFFSET),
            (true, false) => quote!(#name::offset_of(C::CHIP)),
            (false, _) => {
                quote!(match #name::offset_of(C::CHIP) { Some(offset) => offset, None => beyond(stringify!(#name), 0, C::CHIP) })
            }
        };
        quote! {
            #what
            #[inline]
            pub fn #method(&self) -> Reg<&B, #name> #bound {
                Reg::at(&self.bus, #offset)
            }
        }
    }
}
