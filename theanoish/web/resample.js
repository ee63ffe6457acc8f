// Mono samples at 16 kHz, as theanoish/data/audio.py makes them by SciPy's resample_poly: a low-pass under a Kaiser window.
// (Browsers resample while they decode, but cut so far below 8 kHz that the tags change.)
function resampled(mono, rate) {
  if (rate === SAMPLE_RATE) return mono;
  const gcd = (a, b) => (b ? gcd(b, a % b) : a), up = SAMPLE_RATE / gcd(rate, SAMPLE_RATE), down = (rate * up) / SAMPLE_RATE;
  const most = Math.max(up, down), half = 10 * most;
  const bessel = (x) => {
    let sum = 1;
    for (let term = 1, i = 1; term > 1e-12 * sum; i++) sum += term *= (x / 2 / i) ** 2;
    return sum;
  };
  const filter = Float64Array.from({ length: 2 * half + 1 }, (_, i) => {
    const x = (Math.PI * (i - half)) / most;
    return (x ? Math.sin(x) / x : 1) * bessel(5 * Math.sqrt(1 - ((i - half) / half) ** 2));
  });
  const scale = up / filter.reduce((sum, tap) => sum + tap);
  return Float32Array.from({ length: Math.ceil((mono.length * up) / down) }, (_, i) => {
    const first = Math.max(0, Math.ceil((i * down - half) / up)), last = Math.min(mono.length - 1, Math.floor((i * down + half) / up));
    let sum = 0;
    for (let k = first, tap = i * down + half - first * up; k <= last; k++, tap -= up) sum += mono[k] * filter[tap];
    return sum * scale;
  });
}

const to16Bits = (mono) => Int16Array.from(mono, (x) => Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(x * FULL_SCALE))));
