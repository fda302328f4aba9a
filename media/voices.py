"""Mapping of the voices and languages of ``<Say>`` to those of the speech synthesiser.

The choice depends only on the text of ``voice`` and ``language``; no sound is made. Documents name hosted
voices: ``man``, ``woman``, ``alice``, ``Polly.Joanna-Neural``, ``Google.de-DE-Wavenet-A``. The synthesiser
has one male and one female manner in each of its languages, so a voice selects one of the two, and the
language unless ``language`` is given. A document may also name an espeak voice directly: ``en-us+f2``.

Sources: the hosted service's page on text-to-speech and Amazon Polly's list of voices (read November 2026);
the languages are those of espeak-ng 1.52.
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_VOICE", "Voice", "choose_voice"]

_LANGUAGES: Final = frozenset(
    """
    af am an ar as az ba be bg bn bs ca cmn cs cv cy da de el en-029 en-gb-scotland en-gb-x-rp en-us eo es
    es-419 et eu fa fi fr fr-be fr-ch ga gd gn gu haw he hi hr ht hu hy ia id is it ja ka kk kl kn ko kok ku
    ky la lb lt lv mi mk ml mr ms mt my nb ne nl nog om or pa pap pl pt pt-br qu ro ru sd shn si sk sl sq sr
    sv sw ta te th tk tn tr tt ug uk ur uz vi yue
    """.split()
)
"""Languages by the name of their voice file."""
_OTHER_NAMES: Final = {
    "en": "en-us",
    "en-gb": "en-gb-x-rp",
    "en-uk": "en-gb-x-rp",
    "en-ie": "en-gb-x-rp",
    "en-au": "en-gb-x-rp",
    "en-nz": "en-gb-x-rp",
    "en-za": "en-gb-x-rp",
    "en-in": "en-gb-x-rp",
    "en-jm": "en-029",
    "en-sc": "en-gb-scotland",
    "es-es": "es",
    "pt-pt": "pt",
    "no": "nb",
    "nn": "nb",
    "zh": "cmn",
    "zh-hk": "yue",
    "zh-yue": "yue",
    "zh-mo": "yue",
    "iw": "he",
    "in": "id",
    "fil": "id",
    "tl": "id",
    "jv": "id",
    "su": "id",
    "gl": "pt",
    "arb": "ar",
}
"""Voice file for languages with another spelling, or whose nearest voice is that of another language."""
_NEAREST_OF: Final = {"es": "es-419", "en": "en-us"}
"""Voice file for a language in a country that is not listed."""

_WOMEN: Final = {
    "en-US": "Joanna Kendra Kimberly Salli Ivy Danielle Ruth",
    "en-GB": "Amy Emma",
    "en-AU": "Nicole Olivia",
    "en-IN": "Aditi Raveena Kajal",
    "en-IE": "Niamh",
    "en-NZ": "Aria",
    "en-ZA": "Ayanda",
    "en-SG": "Jasmine",
    "es-ES": "Conchita Lucia",
    "es-MX": "Mia",
    "es-US": "Lupe Penelope",
    "pt-BR": "Camila Vitoria",
    "pt-PT": "Ines",
    "fr-FR": "Celine Lea",
    "fr-CA": "Chantal Gabrielle",
    "fr-BE": "Isabelle",
    "de-DE": "Marlene Vicki",
    "de-AT": "Hannah",
    "de-CH": "Sabrina",
    "it-IT": "Carla Bianca",
    "nl-NL": "Lotte Laura",
    "nl-BE": "Lisa",
    "da-DK": "Naja Sofie",
    "sv-SE": "Astrid Elin",
    "nb-NO": "Liv Ida",
    "fi-FI": "Suvi",
    "is-IS": "Dora",
    "pl-PL": "Ewa Maja Ola",
    "cs-CZ": "Jitka",
    "ro-RO": "Carmen",
    "ru-RU": "Tatyana",
    "tr-TR": "Filiz Burcu",
    "ar": "Zeina Hala",
    "ca-ES": "Arlet",
    "cy-GB": "Gwyneth",
    "ja-JP": "Mizuki Kazuha Tomoko",
    "ko-KR": "Seoyeon Jihye",
    "cmn-CN": "Zhiyu",
    "yue-CN": "Hiujin",
}
_MEN: Final = {
    "en-US": "Matthew Joey Justin Kevin Stephen Gregory Patrick",
    "en-GB": "Brian Arthur Geraint",
    "en-AU": "Russell",
    "es-ES": "Enrique Sergio Raul",
    "es-MX": "Andres",
    "es-US": "Miguel Pedro",
    "pt-BR": "Ricardo Thiago",
    "pt-PT": "Cristiano",
    "fr-FR": "Mathieu Remi",
    "fr-CA": "Liam",
    "de-DE": "Hans Daniel",
    "it-IT": "Giorgio Adriano",
    "nl-NL": "Ruben",
    "da-DK": "Mads",
    "is-IS": "Karl",
    "pl-PL": "Jacek Jan",
    "ru-RU": "Maxim",
    "ar": "Zayd",
    "ja-JP": "Takumi",
}
_POLLY: Final = {
    name.lower(): (language, female)
    for table, female in ((_WOMEN, True), (_MEN, False))
    for language, names in table.items()
    for name in names.split()
}
_GOOGLE: Final = re.compile(r"google\.([a-z]{2,3}-[a-z]{2,4})(?:-[a-z0-9]+)*?(?:-([a-z0-9]+))?", re.ASCII)
_GOOGLE_MEN: Final = frozenset("bdijq")
"""Letters of Google's male voices; male and female voices mostly alternate."""
_NEURAL_SUFFIX: Final = re.compile(r"-(neural|generative|long-form)$")
_ESPEAK: Final = re.compile(r"([a-z]{2,3}(?:-[a-z0-9]+)*)(?:\+([fm][1-8]))?", re.ASCII)
_SIMPLE: Final = {"man": False, "woman": True, "alice": True}
_FEMALE, _MALE = "f2", "m3"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of the synthesiser."""

    language: str
    """Name of the voice file, like ``en-us``."""
    manner: str = _FEMALE
    """Name of a variant: ``f1`` … ``f5`` or ``m1`` … ``m8``."""

    @property
    def name(self) -> str:
        """The synthesiser's name of the voice."""
        return f"{self.language}+{self.manner}"


DEFAULT_VOICE: Final = Voice("en-us")


def choose_voice(voice: str | None, language: str | None) -> tuple[Voice, str]:
    """Find the nearest voice.

    Args:
        voice: the attribute of ``<Say>``; None: the default voice.
        language: the attribute of ``<Say>``; it takes precedence over the voice's own language.

    Returns:
        The voice, and a text for people about what was not recognised; empty if everything was.
    """
    wrong = []
    own, manner, known = _of_voice((voice or "").strip().lower())
    if not known:
        wrong.append(f"unknown voice {voice!r:.60}")
    found = _nearest(language.strip().lower()) if language and language.strip() else None
    if language and language.strip() and found is None:
        wrong.append(f"unknown language {language!r:.40}")
    return Voice(found or _nearest(own) or DEFAULT_VOICE.language, manner), "; ".join(wrong)


def _of_voice(name: str) -> tuple[str, str, bool]:
    """Return the voice's language (empty: any), its manner, and whether the voice is known."""
    if not name:
        return "", _FEMALE, True
    if name in _SIMPLE:
        return "", _FEMALE if _SIMPLE[name] else _MALE, True
    if name.startswith("polly."):
        language, female = _POLLY.get(_NEURAL_SUFFIX.sub("", name.removeprefix("polly.")), ("", True))
        return language.lower(), _FEMALE if female else _MALE, bool(language)
    if match := _GOOGLE.fullmatch(name):
        known = _nearest(match[1]) is not None
        return match[1], _MALE if match[2] in _GOOGLE_MEN else _FEMALE, known
    if (match := _ESPEAK.fullmatch(name)) and _nearest(match[1]) is not None:
        return match[1], match[2] or _FEMALE, True
    return "", _FEMALE, False


def _nearest(language: str) -> str | None:
    """Return the voice file for a language like ``de-at``, or None if no near one exists."""
    language = language.replace("_", "-")
    for name in (language, _OTHER_NAMES.get(language)):
        if name in _LANGUAGES:
            return name
    alone = language.partition("-")[0]
    if alone == language:
        return None
    return _NEAREST_OF.get(alone) or _nearest(alone)
