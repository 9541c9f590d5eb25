//! The document that tells an identity provider of this service provider (SAML Metadata, 2.4.4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::provider::{Settings, Signed};
use super::signature::DS;
use super::{MD, POST_BINDING, SAMLP, escaped};

pub(super) fn document(settings: &Settings) -> String {
    let key = settings.signer.as_ref().map_or_else(String::new, |signer| {
        format!(
            "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>\
             {}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
            STANDARD.encode(&signer.certificate.der)
        )
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<md:EntityDescriptor xmlns:md=\"{MD}\" entityID=\"{entity}\">\
         <md:SPSSODescriptor AuthnRequestsSigned=\"{requests}\" WantAssertionsSigned=\"{assertions}\" \
         protocolSupportEnumeration=\"{SAMLP}\">{key}<md:AssertionConsumerService Binding=\"{POST_BINDING}\" \
         Location=\"{acs}\" index=\"0\" isDefault=\"true\"/></md:SPSSODescriptor></md:EntityDescriptor>\n",
        entity = escaped(&settings.entity_id),
        requests = settings.signer.is_some(),
        assertions = settings.signed != Signed::Answer,
        acs = escaped(settings.acs_url.as_str()),
    )
}
