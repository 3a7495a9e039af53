//! Whether the expressions of webhooks and policies compile, each in the environment that its field has.
//!
//! What was there before may be of any version; what is new only of what an older server understands, too.

use super::super::at::At;
use super::super::checks::Errors;
#[cfg(feature = "cel")]
pub(super) use compiled::Expressions;
#[cfg(not(feature = "cel"))]
pub(super) use unjudged::Expressions;

/// What an expression is for, which decides what it may speak of and what it must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether a request is matched.
    Match,
    /// Whether an object is valid.
    Validation,
    /// What is said of one that is not.
    Message,
    /// What an audit is told.
    Audit,
    /// What is applied to an object.
    Apply,
    /// What an object is patched with.
    Patch,
}

#[cfg(feature = "cel")]
mod compiled {
    use super::{At, Errors, Purpose};
    use crate::api::cel::{Composed, Environment, Offers, Program, Type, TypedError};
    use crate::api::field::Error;

    /// The version before this one, to which a server may be rolled back. Source: `DefaultCompatibilityVersion` in
    /// `pkg/cel/environment/base.go` of `k8s.io/apiserver` (1.36).
    const NEW: u32 = 35;
    /// Every version.
    const STORED: u32 = 36;

    /// The expressions of one object, which may speak of variables that were compiled before them.
    pub(in super::super) struct Expressions<'a> {
        params: bool,
        variables: Option<Composed>,
        stored: Vec<(Purpose, &'a str)>,
    }

    impl<'a> Expressions<'a> {
        /// The expressions of an object with or without parameters, and with what was `stored` before.
        pub(in super::super) fn new(params: bool, stored: Vec<(Purpose, &'a str)>) -> Self {
            Self { params, variables: None, stored }
        }

        /// From here on they may speak of variables.
        pub(in super::super) fn compose(&mut self) {
            self.variables.get_or_insert_default();
        }

        fn is_stored(&self, purpose: Purpose, text: &str) -> bool {
            // The operations of patches are looked for among what is applied.
            let purpose = if purpose == Purpose::Patch { Purpose::Apply } else { purpose };
            self.stored.contains(&(purpose, text))
        }

        /// Compiles a variable, of whatever type, for those that follow to speak of.
        pub(in super::super) fn variable(&mut self, name: &str, at: &At<'_>, errors: &mut Errors) {
            self.compose();
            let stored = self.is_stored(Purpose::Validation, at.text());
            let offers = Offers { params: self.params, authorizer: true, ..self.offers() };
            let program = compile(stored, offers, at.text(), &[], at, at.text(), errors);
            if let Some(variables) = &mut self.variables {
                variables.add(name, program.as_ref().map(Program::kind));
            }
        }

        fn offers(&self) -> Offers<'_> {
            Offers { variables: self.variables.as_ref(), ..Offers::default() }
        }

        /// Compiles the expression here.
        pub(in super::super) fn compile(&self, purpose: Purpose, at: &At<'_>, errors: &mut Errors) {
            let (text, trimmed) = (at.text(), at.text().trim());
            // Whether the text is looked for, compiled and shown as it is or trimmed differs.
            let (key, source, shown) = match purpose {
                Purpose::Match => (trimmed, trimmed, trimmed),
                Purpose::Audit => (text, trimmed, text),
                Purpose::Apply | Purpose::Patch => (text, trimmed, trimmed),
                Purpose::Validation | Purpose::Message => (text, text, text),
            };
            let kinds = match purpose {
                Purpose::Match | Purpose::Validation => vec![Type::Bool],
                Purpose::Message => vec![Type::String],
                Purpose::Audit => vec![Type::String, Type::Null],
                Purpose::Apply => vec![Type::applied_object()],
                Purpose::Patch => vec![Type::json_patch()],
            };
            let offers = Offers {
                params: self.params,
                authorizer: purpose != Purpose::Message,
                patches: matches!(purpose, Purpose::Apply | Purpose::Patch),
                variables: self.variables.as_ref().filter(|_| purpose != Purpose::Match),
                ..Offers::default()
            };
            compile(self.is_stored(purpose, key), offers, source, &kinds, at, shown, errors);
        }
    }

    fn compile(
        stored: bool,
        offers: Offers<'_>,
        source: &str,
        kinds: &[Type],
        at: &At<'_>,
        shown: &str,
        errors: &mut Errors,
    ) -> Option<Program> {
        let environment = Environment::for_admission(if stored { STORED } else { NEW }, offers);
        match environment.compile_to(source, kinds) {
            Ok(program) => return Some(program),
            Err(TypedError::Invalid(why)) => errors.push(Error::invalid(&at.path(), shown, why)),
            Err(TypedError::Internal(why)) => errors.push(Error::internal(&at.path(), why)),
        }
        None
    }
}

#[cfg(not(feature = "cel"))]
mod unjudged {
    use super::{At, Errors, Purpose};

    /// Without the language any text passes; nothing evaluates it either.
    pub(in super::super) struct Expressions<'a>(std::marker::PhantomData<&'a ()>);

    impl<'a> Expressions<'a> {
        pub(in super::super) fn new(_: bool, _: Vec<(Purpose, &'a str)>) -> Self {
            Self(std::marker::PhantomData)
        }

        pub(in super::super) fn compose(&mut self) {}

        pub(in super::super) fn variable(&mut self, _: &str, _: &At<'_>, _: &mut Errors) {}

        pub(in super::super) fn compile(&self, _: Purpose, _: &At<'_>, _: &mut Errors) {}
    }
}
