"""Phone numbers in E.164 format."""

import phonenumbers

PHONE_LENGTH = 30


# A region in which international numbers begin with 00, so that `0049 30 …` is read like `+49 30 …`.
REGION_THAT_DIALS_00 = "DE"


COUNTRY_CODE_SOURCES = {
    phonenumbers.CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN,
    phonenumbers.CountryCodeSource.FROM_NUMBER_WITH_IDD,
}


def valid_phone(typed: str) -> str:
    """Return a phone number in E.164 format, like +491701234567. Raises ValueError.

    The number must include its country code and have a length that the country uses. Whether its range
    is assigned is not checked: an installed phonenumbers lacks ranges that were assigned later.
    """
    # A letter or an extension would be dropped silently, and another number stored than the user typed.
    if len(typed) > PHONE_LENGTH or any(character.isalpha() for character in typed):
        raise ValueError("not a phone number")
    try:
        # "(0)" is never dialled from abroad. phonenumbers drops it only for countries that still have that prefix.
        number = phonenumbers.parse(typed.replace("(0)", ""), REGION_THAT_DIALS_00, keep_raw_input=True)
    except phonenumbers.NumberParseException as error:
        raise ValueError("not a phone number") from error
    if number.country_code_source not in COUNTRY_CODE_SOURCES or number.extension:
        raise ValueError("a phone number without a country code, or with an extension")
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("a phone number of a length that its country does not use")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
