import librosa
import numpy as np
import pytest

from theanoish.data.mel import log_mel, represented
from theanoish.representation import LENGTHS_AND_STRIDES, RAW, REPRESENTATIONS, Representation

RNG = np.random.default_rng(3)
TIME = np.arange(50_001) / 16_000
SIGNALS = {
    "noise": RNG.integers(-32_768, 32_768, 50_001),
    "quiet noise": RNG.integers(-3, 4, 50_001),
    "chord": sum(6000 * np.sin(2 * np.pi * f * TIME) for f in (110, 440, 1320, 5280)) * np.exp(-TIME),
    "clicks": np.where(np.arange(50_001) % 4001 == 17, 32_767, 0),
    "silence": np.zeros(50_001),
}


def librosa_log_mel(samples, length, stride):
    """librosa's own, in double precision. It centres short windows in the FFT; the zeros put frame t at t·stride."""
    n_fft = max(1024, length)
    left = (n_fft - length) // 2
    padded = np.pad(samples / 32_768, (left, n_fft - length - left))
    spectrogram = librosa.feature.melspectrogram(
        y=padded, sr=16_000, n_fft=n_fft, win_length=length, hop_length=stride, center=False, n_mels=128, fmax=8000
    )
    return np.log1p(10_000 * spectrogram).T


@pytest.mark.parametrize(("length", "stride"), LENGTHS_AND_STRIDES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_equals_librosa(signal, length, stride):
    samples = SIGNALS[signal].astype(np.int16)
    ours, theirs = log_mel(samples, Representation(length, stride)), librosa_log_mel(samples, length, stride)
    assert ours.shape == theirs.shape == ((50_001 - length) // stride + 1, 128)
    assert ours.dtype == np.float32 and ours.flags.c_contiguous and ours.min() >= 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_several_at_once_are_as_one_by_one():
    samples = SIGNALS["noise"].astype(np.int16)
    wanted = [*REPRESENTATIONS, Representation(512, 384)]  # which shares no frame with the stride of 256
    several = dict(represented(samples, wanted))
    assert set(several) == set(wanted)
    np.testing.assert_array_equal(several.pop(RAW), samples)
    for representation, values in several.items():
        assert values.flags.c_contiguous
        np.testing.assert_allclose(values, log_mel(samples, representation), rtol=1e-6, atol=1e-6)


def test_what_is_shorter_than_a_frame_has_none():
    assert log_mel(np.zeros(255, np.int16), Representation(256, 256)).shape == (0, 128)
    assert log_mel(np.zeros(0, np.int16), Representation(1024, 512)).shape == (0, 128)
