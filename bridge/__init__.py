"""A telephony voice agent bridge: SIP calls in, speech-to-speech Realtime sessions out."""

__version__ = "0.1.0"
