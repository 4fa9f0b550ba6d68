"""Reauthenticate."""

from collections.abc import Iterable
from typing import Protocol

from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired

from app.forms.base import MaxLength, SiteForm, password_field
from app.lib.i18n.catalogs import lazy_gettext as _

MAX_PROOF_LENGTH = 100


class ReauthenticationForm(SiteForm):
    password = password_field(_("Password"), required=_("Enter your password."))
    next = HiddenField()


class ProofField(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def required(self) -> str: ...


def form_with_proofs(proofs: Iterable[ProofField]) -> type[ReauthenticationForm]:
    """Return the form with a field for each further proof that the user needs."""

    class FormWithProofs(ReauthenticationForm):
        pass

    for proof in proofs:
        validators = [InputRequired(proof.required), MaxLength(MAX_PROOF_LENGTH, _("This code is too long."))]
        setattr(FormWithProofs, proof.name, StringField(proof.label, validators=validators))
    return FormWithProofs
