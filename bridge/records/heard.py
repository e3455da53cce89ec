"""How much of what an agent said its caller heard, when it was interrupted. Pure.

The model side counts in milliseconds of audio and sends no times of words, so the words are shared out over the audio
evenly: an estimate, good to a word or two, and named as one wherever it is shown.
"""


def heard_chars(text: str, heard_ms: float, dropped_ms: float) -> int:
    """How many characters of `text` were heard, up to the end of a word. `dropped_ms`: audio that was not."""
    if heard_ms <= 0:
        return 0
    if dropped_ms <= 0:
        return len(text)
    at = round(len(text) * heard_ms / (heard_ms + dropped_ms))
    end = next((place for place in range(at, len(text)) if text[place].isspace()), len(text))
    return end if at else 0
