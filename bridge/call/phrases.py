"""What the bridge says of itself in steps, in the languages it has words for; English for the others. Pure."""

from collections.abc import Mapping

_TAKE: Mapping[str, str] = {
    "en": "Press {key} to take the call, or any other key to refuse.",
    "de": "Drücken Sie {key}, um das Gespräch anzunehmen, oder eine andere Taste, um abzulehnen.",
    "fr": "Appuyez sur {key} pour prendre l'appel, ou sur une autre touche pour refuser.",
    "es": "Pulse {key} para aceptar la llamada, o cualquier otra tecla para rechazarla.",
    "it": "Prema {key} per accettare la chiamata, o un altro tasto per rifiutarla.",
    "nl": "Druk op {key} om het gesprek aan te nemen, of op een andere toets om te weigeren.",
}
_CONFIRM: Mapping[str, str] = {
    "en": "Press {key} to confirm, or any other key.",
    "de": "Drücken Sie {key} zum Bestätigen, oder eine andere Taste.",
    "fr": "Appuyez sur {key} pour confirmer, ou sur une autre touche.",
    "es": "Pulse {key} para confirmar, o cualquier otra tecla.",
    "it": "Prema {key} per confermare, o un altro tasto.",
    "nl": "Druk op {key} om te bevestigen, of op een andere toets.",
}


def take_the_call(key: str, language: str) -> str:
    """To the target of a warm transfer."""
    return _in(_TAKE, language).format(key=key)


def confirm(key: str, language: str) -> str:
    """To the caller, behind the gate's question."""
    return _in(_CONFIRM, language).format(key=key)


def _in(words: Mapping[str, str], language: str) -> str:
    return words.get(language.partition("-")[0], words["en"])
