//! A credential as it is typed into a form. It goes in and never comes out.

use crate::aws::secrets::Credential;
use crate::console::Fields;
use crate::domain::product::Product;
use crate::domain::text::pasted;
use crate::huntress::edr::EdrCredential;
use crate::huntress::sat::SatCredential;
use secrecy::SecretString;

/// One part of a credential, as its form shows it.
pub(super) struct Part {
    /// The name of the field, as in the credential's schema.
    pub name: &'static str,
    /// What the vendor calls it.
    pub label: &'static str,
    /// Where it is found.
    pub hint: &'static str,
    /// Whether what is typed is hidden.
    pub secret: bool,
}

/// The parts of a product's credential.
pub(super) fn parts(product: Product) -> &'static [Part] {
    match product {
        Product::Edr => &[
            Part {
                name: "apiKey",
                label: "API Key",
                hint: "From Huntress portal: Account → API Credentials → API Key",
                secret: true,
            },
            Part {
                name: "apiSecret",
                label: "API Secret",
                hint: "From Huntress portal: Account → API Credentials → API Secret. Treat as a password.",
                secret: true,
            },
        ],
        Product::Sat => &[
            Part {
                name: "clientId",
                label: "Client ID",
                hint: "From Huntress SAT: Settings → API Clients",
                secret: false,
            },
            Part {
                name: "clientSecret",
                label: "Client Secret",
                hint: "From Huntress SAT: Settings → API Clients. Shown once. Treat as a password.",
                secret: true,
            },
        ],
    }
}

/// The credential of a form, and whether blanks, line ends or quotes were removed around a part.
pub(super) fn typed(product: Product, fields: &Fields) -> Result<(Credential, bool), String> {
    let mut trimmed = false;
    let mut part = |name: &str, label: &str| {
        let given = fields.get(name);
        let clean = pasted(given);
        trimmed |= clean.len() != given.len();
        if clean.is_empty() {
            return Err(format!("{label} is empty: paste it"));
        }
        Ok(SecretString::from(clean.to_owned()))
    };
    let credential = match product {
        Product::Edr => {
            Credential::Edr(EdrCredential { key: part("apiKey", "API Key")?, secret: part("apiSecret", "API Secret")? })
        }
        Product::Sat => Credential::Sat(SatCredential {
            client_id: part("clientId", "Client ID")?,
            client_secret: part("clientSecret", "Client Secret")?,
        }),
    };
    Ok((credential, trimmed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn what_pasting_adds_is_removed_and_said() {
        let fields = Fields::parse(b"apiKey=%22abc%22%0D%0A&apiSecret=def");
        let (Credential::Edr(credential), true) = typed(Product::Edr, &fields).unwrap() else { panic!() };
        assert_eq!((credential.key.expose_secret(), credential.secret.expose_secret()), ("abc", "def"));
        let missing = typed(Product::Sat, &Fields::parse(b"clientId=x&clientSecret=+%22")).err();
        assert_eq!(missing.as_deref(), Some("Client Secret is empty: paste it"));
    }
}
