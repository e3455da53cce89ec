import numpy as np

from bridge.media import g711
from bridge.sim.wideband import DECODER_RATE_HZ, RATE_HZ, for_decoder, narrow


def tone(hz, rate, seconds=1.0):
    return 8000 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def power(pcm, low, high):
    sound = np.frombuffer(pcm, "<i2").astype(float)
    hz = np.fft.rfftfreq(len(sound), 1 / DECODER_RATE_HZ)
    return float((np.abs(np.fft.rfft(sound))[(hz >= low) & (hz < high)] ** 2).sum())


def test_g711_and_wide_band_come_out_at_the_telephones_rate():
    pcm = tone(1000, RATE_HZ).astype("<i2").tobytes()
    assert len(narrow(g711.pcmu_encode(pcm), "audio/pcmu")) == 8000
    assert len(narrow(g711.pcma_encode(pcm), "audio/pcma")) == 8000
    assert len(narrow(tone(1000, 24_000).astype("<i2").tobytes(), "audio/pcm")) == 8000


def test_what_a_telephone_has_is_mirrored_above_it_more_quietly():
    wide = for_decoder(tone(1000, RATE_HZ).astype(np.float32))
    assert power(wide, 6900, 7100) > 0.1 * power(wide, 900, 1100)
    assert power(wide, 6900, 7100) < 0.5 * power(wide, 900, 1100)
    assert power(wide, 900, 1100) > 100 * power(wide, 2000, 6000)


def test_digital_silence_gets_a_spectrum():
    assert np.abs(np.frombuffer(for_decoder(np.zeros(8000, np.float32)), "<i2")).max() > 5
