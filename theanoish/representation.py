"""What a network is fed: raw samples or log-mel spectrograms, and how their rows lie in a clip (section 4.1).

A clip is stored as rows: a row is one sample for raw audio, one frame of a spectrogram otherwise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE_RATE = 16_000
FULL_SCALE = 32_768  # of 16-bit samples
USUAL_SAMPLES = 465_984  # of every readable clip of MagnaTagATune, 29.124 s
WINDOW_SAMPLES = 48_000  # "about 3 seconds"
MEL_CHANNELS = 128
COMPRESSION = 10_000.0  # C of log(1 + C·x), of spectrograms and of the logarithmic nonlinearities alike
LENGTHS_AND_STRIDES = ((1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256))  # Table 1


@dataclass(frozen=True)
class Representation:
    """Raw samples, or the log-mel spectrogram of one window length and stride.

    Row t covers the samples ``t * stride`` to ``t * stride + length - 1`` of its clip; for raw samples both are 1.
    """

    length: int = 1  # samples of a row
    stride: int = 1  # samples between the beginnings of two rows

    @property
    def is_raw(self) -> bool:
        """Whether rows are samples."""
        return self.length == 1

    @property
    def name(self) -> str:
        """Its group in the HDF5 file: ``raw`` or ``mel_<length>_<stride>``."""
        return "raw" if self.is_raw else f"mel_{self.length}_{self.stride}"

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 samples or float32 frames."""
        return np.dtype("<i2" if self.is_raw else "<f4")

    @property
    def row_shape(self) -> tuple[int, ...]:
        """() for a sample, (128,) for a frame."""
        return () if self.is_raw else (MEL_CHANNELS,)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * int(np.prod(self.row_shape, dtype=int))

    @property
    def window_shape(self) -> tuple[int, ...]:
        """Of one window: (48000,) or (frames, 128)."""
        return (int(self.rows_of(WINDOW_SAMPLES)), *self.row_shape)

    def rows_of(self, samples: Any) -> Any:
        """Whole rows in `samples` samples, an integer or an array of them."""
        return np.maximum(0, (samples - self.length) // self.stride + 1)


RAW = Representation()
REPRESENTATIONS = (RAW, *(Representation(length, stride) for length, stride in LENGTHS_AND_STRIDES))
