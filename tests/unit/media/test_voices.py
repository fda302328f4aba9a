"""The voice that speaks for the requested one."""

import pytest

from media.voices import DEFAULT_VOICE, choose_voice

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("voice", "language", "name"),
    [
        (None, None, "en-us+f2"),
        ("man", None, "en-us+m3"),
        ("woman", "en-GB", "en-gb-x-rp+f2"),
        ("alice", "de-AT", "de+f2"),
        ("Polly.Joanna", None, "en-us+f2"),
        ("Polly.Matthew-Neural", None, "en-us+m3"),
        ("Polly.Hans", None, "de+m3"),
        ("polly.vitoria", None, "pt-br+f2"),
        ("Polly.Mathieu-Long-Form", None, "fr+m3"),
        ("Polly.Zeina", None, "ar+f2"),
        ("Polly.Amy", "fr-CA", "fr+f2"),
        ("Google.de-DE-Wavenet-B", None, "de+m3"),
        ("Google.es-US-Neural2-A", None, "es-419+f2"),
        ("Google.en-US-Chirp3-HD-Aoede", None, "en-us+f2"),
        ("en-us+f4", None, "en-us+f4"),
        ("de", None, "de+f2"),
        (None, "zh-TW", "cmn+f2"),
        (None, "zh-HK", "yue+f2"),
        (None, "no-NO", "nb+f2"),
        (None, "pt_BR", "pt-br+f2"),
        (None, "es-MX", "es-419+f2"),
        (" man ", " it-it ", "it+m3"),
    ],
)
def test_what_is_known_has_its_nearest_voice(voice: str | None, language: str | None, name: str) -> None:
    chosen, wrong = choose_voice(voice, language)
    assert (chosen.name, wrong) == (name, "")


@pytest.mark.parametrize(
    ("voice", "language", "complaint"),
    [
        ("Polly.Nobody", None, "unknown voice 'Polly.Nobody'"),
        ("Google.xx-XX-Standard-A", None, "unknown voice"),
        ("en-us+f9", None, "unknown voice"),
        ("../../etc/passwd", None, "unknown voice"),
        ("x" * 500, None, "unknown voice"),
        (None, "tlh", "unknown language 'tlh'"),
        ("Nobody", "xx-YY", "unknown voice 'Nobody'; unknown language 'xx-YY'"),
    ],
)
def test_what_is_not_known_is_said_and_the_default_speaks(
    voice: str | None, language: str | None, complaint: str
) -> None:
    chosen, wrong = choose_voice(voice, language)
    assert chosen == DEFAULT_VOICE
    assert wrong.startswith(complaint)
    assert len(wrong) < 150


def test_an_unknown_voice_speaks_the_language_that_was_asked_for() -> None:
    assert choose_voice("Nobody", "fr-FR")[0].name == "fr+f2"
