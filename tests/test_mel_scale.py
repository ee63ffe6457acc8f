import librosa
import numpy as np
import pytest

from theanoish.mel_scale import hz_to_mel, mel_filters, mel_to_hz


@pytest.mark.parametrize(("points", "bands"), [(1024, 128), (2048, 128), (1024, 40)])
def test_filters_are_those_of_librosa(points, bands):
    expected = librosa.filters.mel(sr=16_000, n_fft=points, n_mels=bands, fmax=8000, dtype=np.float64)
    np.testing.assert_allclose(mel_filters(points, bands), expected, atol=1e-15)
    assert (mel_filters(points, bands).max(axis=1) > 0).all(), "no filter is empty"


def test_scale_is_that_of_librosa_both_ways():
    frequencies = np.array([0, 50, 999, 1000, 1001, 8000])
    np.testing.assert_allclose(hz_to_mel(frequencies), librosa.hz_to_mel(frequencies), atol=1e-12)
    np.testing.assert_allclose(mel_to_hz(librosa.hz_to_mel(frequencies)), frequencies, atol=1e-9)
